import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  experts,
  keysBecause,
  LLAMA_DEFAULTS,
  predictionLayers,
  rotaryByWindow,
  slidingByLayer,
  sparseByType,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { FlashQwen3MoeForCausalLMATB } from '../qwen3_moe/index.js';

/** Defaults of transformers 5.24, MellumConfig. */
const MELLUM_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 4, headDim: 128 }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    ...rotaryByWindow({
      full_attention: { theta: 500_000, isScaled: false },
      sliding_attention: { theta: 10_000, isScaled: false },
    }),
    ...experts({ numExperts: 64, numExpertsPerToken: 8, moeIntermediateSize: 896, normTopkProb: true }),
    sparseLayers: sparseByType({ dense: 0 }),
    predictionLayers: predictionLayers(0),
    slidingWindows: slidingByLayer({ window: 1024, slides: () => false }),
  },
  irrelevant: {
    ...keysBecause('is what layer_types lists', 'use_sliding_window', 'max_window_layers'),
    ...keysBecause(
      'tells of layers that guess further tokens, which are left out',
      ...['mtp_layer_types', 'mtp_mlp_layer_types'],
    ),
  },
});

/** Mellum 2: Qwen3 with experts, with windows in some layers and another rotary embedding in these. */
export class FlashMellumForCausalLMATB extends FlashQwen3MoeForCausalLMATB<ConfigOf<typeof MELLUM_CONFIG>> {
  override readonly name = 'mellum';
}

export const MellumRouter = routerOf(MELLUM_CONFIG, FlashMellumForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['as qwen3_moe', 'windows by layer', 'two rotary embeddings'],
    reference: 'transformers',
  },
});
registerModel('mellum', MellumRouter);
