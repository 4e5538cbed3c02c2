import {
  activation,
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  type Field,
  field,
  flag,
  fullAttention,
  integer,
  LENGTH,
  nested,
  oneOf,
  only,
  positive,
  required,
  text,
  tokenField,
  WIDTH,
  within,
} from '../../layers/config/index.js';
import { BaseRouter, type ModelAbout, RegisterRouter } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { headNamesWithin, type TextKind } from '../base/text-within.js';
import {
  besideText,
  ClipTower,
  dtypeBesideText,
  layersBehind,
  layersUpTo,
  SquareProcessor,
} from '../base/vision/index.js';

const COUNT = integer(1, 10_000);

/** Text of another kind has other names and norms. */
const textKind: Field<TextKind> = {
  read: (json) => json.section('text_config')?.value('model_type', only('llama')) ?? 'llama',
};

/** Defaults of transformers 5.24, LlavaConfig; published files say only where their text differs from LlamaConfig. */
export const LLAVA_CONFIG = defineConfig({
  fields: {
    textKind,
    ...within('text_config', {
      ...decoder({
        numKeyValueHeads: 'num_attention_heads',
        headDim: 'hidden_size / num_attention_heads',
        hiddenAct: 'silu',
        rmsNormEps: 1e-6,
        ropeTheta: 10_000,
        tieWordEmbeddings: false,
      }),
      ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: 'mlp_bias' }),
      hiddenSize: field('hidden_size', WIDTH, 4096),
      numHiddenLayers: field('num_hidden_layers', integer(1, 1000), 32),
      numAttentionHeads: field('num_attention_heads', COUNT, 32),
      intermediateSize: field('intermediate_size', WIDTH, 11_008),
      vocabSize: field('vocab_size', WIDTH, 32_000),
      maxPositionEmbeddings: field('max_position_embeddings', LENGTH, 2048),
      slidingWindows: fullAttention,
    }),
    modelType: field('model_type', text, required),
    dtype: dtypeBesideText,
    tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
    imageTokenId: tokenField('image_token_index', 32_000),
    computedLayers: layersUpTo('vision_feature_layer', -2),
    select: field('vision_feature_select_strategy', oneOf('default', 'full'), 'default'),
    projectorAct: activation('projector_hidden_act', 'gelu'),
    projectorBias: field('multimodal_projector_bias', flag, true),
    vision: nested(
      'vision_config',
      {
        hiddenSize: field('hidden_size', WIDTH, 1024),
        intermediateSize: field('intermediate_size', WIDTH, 4096),
        numLayers: field('num_hidden_layers', COUNT, 24),
        numHeads: field('num_attention_heads', COUNT, 16),
        imageSize: field('image_size', COUNT, 336),
        patchSize: field('patch_size', COUNT, 14),
        channels: field('num_channels', only(3), 3),
        layerNormEps: field('layer_norm_eps', positive(1), 1e-5),
        hiddenAct: activation('hidden_act', 'quick_gelu'),
        kind: field('model_type', only('clip_vision_model'), 'clip_vision_model'),
      },
      ['projection_dim', 'initializer_factor', 'vocab_size'],
    ),
  },
  irrelevant: {
    image_seq_length: 'follows from the size of pictures',
    image_token_id: 'repeats image_token_index',
    ignore_index: 'is used in training alone',
    vocab_size: 'repeats that of text_config',
    pad_token_id: 'is read of text_config',
  },
});
export type LlavaConfig = ConfigOf<typeof LLAVA_CONFIG>;

const TEXT = 'language_model';

/** Llama that sees square pictures by CLIP (arXiv:2310.03744). */
export class FlashLlavaForCausalLMATB extends FlashInsertingATB<LlavaConfig> {
  readonly name = 'llava';
  protected readonly encoderModule: ClipTower;

  constructor(config: LlavaConfig, weights: Weights) {
    super(config, weights, TEXT);
    const { vision, projectorAct: act, projectorBias: hasBias, select, hiddenSize: outSize } = config;
    // Until transformers 4.x the tower stood within a model of its own.
    const older = weights.has('vision_tower.vision_model.pre_layrnorm.weight');
    const tower = weights.at(older ? 'vision_tower.vision_model' : 'vision_tower');
    const count = Math.floor(vision.imageSize / vision.patchSize) ** 2;
    this.encoderModule = new ClipTower(
      { ...vision, count, numLayers: config.computedLayers },
      { tower, projector: weights.at('multi_modal_projector') },
      { outSize, keepsFirst: select === 'full', hasBias, act },
    );
  }
}

@RegisterRouter('llava')
export class LlavaRouter extends BaseRouter<LlavaConfig> {
  override get about(): ModelAbout {
    return { kind: 'media', features: ['square pictures by CLIP'], reference: 'transformers' };
  }

  /** Layers behind the one whose result is taken. */
  override get harmlessTensors(): readonly RegExp[] {
    const { computedLayers, vision } = this.config;
    return [
      ...super.harmlessTensors,
      /^vision_tower\.(.*\.)?(post_layernorm\.|embeddings\.position_ids$)/,
      ...layersBehind('vision_tower\\.(.*\\.)?encoder\\.layers', computedLayers, vision.numLayers),
    ];
  }

  override get headNames() {
    return headNamesWithin(this.config.textKind, TEXT);
  }

  override getMediaProcessor(): Promise<SquareProcessor> {
    const { imageTokenId, select, vision } = this.config;
    const folder = { dir: this.modelPath, links: this.links };
    return SquareProcessor.load(folder, imageTokenId, { ...vision, keepsFirst: select === 'full' });
  }

  protected getConfig(): LlavaConfig {
    return LLAVA_CONFIG.read(this.configDict);
  }

  protected getModelClass(): typeof FlashLlavaForCausalLMATB {
    return FlashLlavaForCausalLMATB;
  }
}
