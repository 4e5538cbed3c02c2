import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  experts,
  fullAttention,
  LLAMA_DEFAULTS,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashLlamaForCausalLMATB } from '../llama/index.js';
import { Olmo2Layer } from '../olmo2/index.js';
import { olmoeExperts } from '../olmoe/index.js';

/** Defaults of transformers 5.24, FlexOlmoConfig. */
const FLEX_OLMO_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, ropeTheta: 500_000, rotary: { keepsF32: true } }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    ...experts({
      numExperts: 7,
      numExpertsPerToken: 5,
      moeIntermediateSize: 'intermediate_size',
      normTopkProb: false,
    }),
    slidingWindows: fullAttention,
  },
});
type FlexOlmoConfig = ConfigOf<typeof FLEX_OLMO_CONFIG>;

/** OLMo 2 with OLMoE's experts (arXiv:2507.07024). */
export class FlashFlexOlmoForCausalLMATB extends FlashLlamaForCausalLMATB<FlexOlmoConfig> {
  override readonly name = 'flex_olmo';

  constructor(config: FlexOlmoConfig, weights: Weights) {
    super(config, weights, (layerId, at) => {
      const mlp = olmoeExperts(config, at.at('mlp'));
      return new Olmo2Layer(layerId, config, at, { mlp });
    });
  }
}

export const FlexOlmoRouter = routerOf(FLEX_OLMO_CONFIG, FlashFlexOlmoForCausalLMATB, {
  about: { kind: 'experts', features: ['as olmo2', 'experts of olmoe'], reference: 'transformers' },
});
registerModel('flex_olmo', FlexOlmoRouter);
