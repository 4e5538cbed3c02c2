import { NormedRotaryAttention } from '../../layers/attention-orders.js';
import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  experts,
  fullAttention,
  LLAMA_DEFAULTS,
} from '../../layers/config/index.js';
import { ExpertRouter, Experts, SparseMLP } from '../../layers/experts.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashSparseLlamaATB } from '../llama/index.js';
import { olmo2Norms } from '../olmo2/index.js';

/** Defaults of transformers 5.24, OlmoeConfig. */
const OLMOE_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, rmsNormEps: 1e-5 }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    ...experts({
      numExperts: 64,
      numExpertsPerToken: 8,
      moeIntermediateSize: 'intermediate_size',
      normTopkProb: false,
    }),
    slidingWindows: fullAttention,
  },
});

type OlmoeConfig = ConfigOf<typeof OLMOE_CONFIG>;

/** Llama with OLMo 2's norms of queries and keys, and experts in place of all MLPs (arXiv:2409.02060, section 2). */
export class FlashOlmoeForCausalLMATB extends FlashSparseLlamaATB<OlmoeConfig> {
  readonly name = 'olmoe';

  constructor(config: OlmoeConfig, weights: Weights) {
    super(config, weights, {
      selfAttn: (layerId, at) => new NormedRotaryAttention(layerId, config, at, olmo2Norms(config, at)),
      experts: (at) =>
        new SparseMLP({
          router: new ExpertRouter({ ...config, scoring: 'softmax' }, at),
          experts: new Experts(config, at.at('experts')),
        }),
    });
  }
}

export const OlmoeRouter = routerOf(OLMOE_CONFIG, FlashOlmoeForCausalLMATB, {
  about: { kind: 'experts', features: ['norms of q and k over all heads'], reference: 'transformers' },
});
registerModel('olmoe', OlmoeRouter);
