import { type ConfigOf, defineConfig, field, flag } from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { GPT2_IRRELEVANT, gpt2Fields } from './config-gpt2.js';
import { CAUSAL_MASKS, FlashGpt2LikeATB, GPT2_HEAD } from './modeling-gpt2-atb.js';

export * from './config-gpt2.js';
export * from './modeling-gpt2-atb.js';

/** Defaults of transformers 5.24, GPT2Config. */
const GPT2_CONFIG = defineConfig({
  fields: {
    ...gpt2Fields({ activation: 'gelu_tanh' }),
    scalesScoresByLayer: field('scale_attn_by_inverse_layer_idx', flag, false),
  },
  irrelevant: {
    ...GPT2_IRRELEVANT,
    reorder_and_upcast_attn: 'scores are computed in f32 here anyway',
  },
});
type Gpt2Config = ConfigOf<typeof GPT2_CONFIG>;

export class FlashGpt2ForCausalLMATB extends FlashGpt2LikeATB<Gpt2Config> {
  readonly name = 'gpt2';

  constructor(config: Gpt2Config, weights: Weights) {
    const { headDim, scalesScores, scalesScoresByLayer } = config;
    const scale = scalesScores ? 1 / Math.sqrt(headDim) : 1;
    super(config, weights, (layerId) => ({
      qkv: { packed: 'c_attn', order: 'blocks' },
      transposed: true,
      scale: scalesScoresByLayer ? scale / (layerId + 1) : scale,
      ...(scalesScoresByLayer && { variant: `scaled_${layerId + 1}` }),
    }));
  }
}

export const Gpt2Router = routerOf(GPT2_CONFIG, FlashGpt2ForCausalLMATB, {
  harmlessTensors: CAUSAL_MASKS,
  headNames: GPT2_HEAD,
  about: {
    kind: 'positions',
    features: ['learned positions', 'MLP without a gate'],
    reference: 'transformers',
  },
});
registerModel('gpt2', Gpt2Router);
