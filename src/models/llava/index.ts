import {
  activation,
  defineConfig,
  encoderHeads,
  field,
  flag,
  integer,
  nested,
  oneOf,
  only,
  positive,
  required,
  text,
  tokenField,
  WIDTH,
} from '../../layers/config/index.js';
import { BaseRouter, type ModelAbout, RegisterRouter } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { aroundText, headNamesWithin, textWithin } from '../base/text-within.js';
import {
  besideText,
  ClipTower,
  dtypeBesideText,
  layersBehind,
  layersUpTo,
  SquareProcessor,
} from '../base/vision/index.js';

const COUNT = integer(1, 10_000);

/** Of LlamaConfig in transformers 5.24, from which files of text of that kind differ. */
const LLAMA_7B = {
  model_type: 'llama',
  hidden_size: 4096,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  intermediate_size: 11_008,
  vocab_size: 32_000,
  max_position_embeddings: 2048,
} as const;

/** Defaults of transformers 5.24, LlavaConfig. */
export const LLAVA_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', LLAMA_7B),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
      imageTokenId: tokenField(['image_token_index', 'image_token_id'], 32_000),
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
          numHeads: encoderHeads('num_attention_heads', 16),
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
      ignore_index: 'is used in training alone',
      vocab_size: 'repeats that of text_config',
      pad_token_id: 'is read of text_config',
    },
  }),
);
export type LlavaConfig = ReturnType<(typeof LLAVA_CONFIG)['read']>;

const TEXT = 'language_model';

/** A model of text that sees square pictures by CLIP (arXiv:2310.03744). */
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
    return {
      kind: 'media',
      features: ['square pictures by CLIP', 'text of internlm2, llama, qwen2, qwen3'],
      reference: 'transformers',
    };
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
