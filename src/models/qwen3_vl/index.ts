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
  LLAMA_DEFAULTS,
  listOf,
  nested,
  required,
  text,
  tokenField,
  WIDTH,
  within,
} from '../../layers/config/index.js';
import type { EncodeWords } from '../../media/index.js';
import { BaseRouter, type ModelAbout, RegisterRouter } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import {
  axesTakeTurns,
  besideText,
  dtypeBesideText,
  FlashMropeForCausalLMATB,
  rootsOf,
  sectionsOr,
  visionFields,
} from '../base/vision/index.js';
import { LlamaLayer } from '../llama/index.js';
import { Qwen3Attention } from '../qwen3/index.js';
import { TimedProcessor } from './timed-processor.js';
import { Qwen3vlVisionTower } from './vision-tower.js';

export { TimedProcessor } from './timed-processor.js';
export { Qwen3vlVisionTower } from './vision-tower.js';

/** Behind which layers of its encoder there are vectors for the first layers of text. */
const deepLayers: Field<readonly number[], { readonly depth: number }> = {
  read(json, { depth }) {
    const name = 'deepstack_visual_indexes';
    const layers = json.value(name, listOf(integer(0, 10_000), 'layers')) ?? [8, 16, 24];
    const beyond = layers.find((layer) => layer >= depth);
    if (beyond === undefined) return layers;
    return json.fail(`${name} must name layers below depth (${depth}), found ${beyond}`);
  },
};

/** Defaults of transformers 5.24, Qwen3VLConfig. */
export const QWEN3_VL_CONFIG = defineConfig({
  fields: {
    ...within('text_config', {
      ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 32, headDim: 128, ropeTheta: 500_000 }),
      ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
      slidingWindows: fullAttention,
      sections: sectionsOr([24, 20, 20]),
      isInterleaved: axesTakeTurns,
    }),
    modelType: field('model_type', text, required),
    dtype: dtypeBesideText,
    tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
    imageTokenId: tokenField('image_token_id', 151_655),
    videoTokenId: tokenField('video_token_id', 151_656),
    visionStartId: tokenField('vision_start_token_id', 151_652),
    visionEndId: tokenField('vision_end_token_id', 151_653),
    vision: nested('vision_config', {
      ...visionFields,
      depth: field('depth', integer(1, 10_000), 27),
      patchSize: field('patch_size', integer(1, 10_000), 16),
      hiddenSize: field('hidden_size', WIDTH, 1152),
      intermediateSize: field('intermediate_size', WIDTH, 4304),
      outSize: field('out_hidden_size', WIDTH, 3584),
      hiddenAct: activation('hidden_act', 'gelu_tanh'),
      numPositions: field('num_position_embeddings', WIDTH, 2304),
      deepLayers,
    }),
  },
  irrelevant: { vision_token_id: 'stands in the chat template' },
});
export type Qwen3vlConfig = ConfigOf<typeof QWEN3_VL_CONFIG>;

/** Qwen3 that sees pictures of any size. */
export class FlashQwen3vlForCausalLMATB extends FlashMropeForCausalLMATB<
  Qwen3vlConfig & { readonly deepLevels: number }
> {
  readonly name = 'qwen3_vl';
  protected readonly encoderModule: Qwen3vlVisionTower;

  constructor(config: Qwen3vlConfig, weights: Weights) {
    const deep = { ...config, deepLevels: config.vision.deepLayers.length };
    super(deep, weights, (layerId, at) => {
      const selfAttn = new Qwen3Attention(layerId, config, at.at('self_attn'));
      return new LlamaLayer(layerId, config, at, { selfAttn });
    });
    this.encoderModule = new Qwen3vlVisionTower(config.vision, weights.at(rootsOf(weights).vision));
  }
}

@RegisterRouter('qwen3_vl')
export class Qwen3vlRouter extends BaseRouter<Qwen3vlConfig> {
  override get about(): ModelAbout {
    const features = ['as qwen2_vl', 'learned positions', 'vectors for the first layers', 'times of frames'];
    return { kind: 'media', features, reference: 'transformers' };
  }

  override getMediaProcessor(encode: EncodeWords): Promise<TimedProcessor> {
    return TimedProcessor.read({ dir: this.modelPath, links: this.links }, this.config, encode);
  }

  protected getConfig(): Qwen3vlConfig {
    return QWEN3_VL_CONFIG.read(this.configDict);
  }

  protected getModelClass(): typeof FlashQwen3vlForCausalLMATB {
    return FlashQwen3vlForCausalLMATB;
  }
}
