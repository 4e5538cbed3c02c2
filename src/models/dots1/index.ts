import {
  biases,
  constant,
  decoder,
  defineConfig,
  LLAMA_DEFAULTS,
  required,
  slidingByLayer,
  sparseBehindDense,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { FlashGlm4MoeForCausalLMATB, glm4Experts } from '../glm4_moe/index.js';

/** Defaults of transformers 5.24, Dots1Config. */
const DOTS1_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 32 }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    ...glm4Experts(
      {
        ...{ numExperts: required, numExpertsPerToken: required },
        ...{ moeIntermediateSize: 1408, normTopkProb: false },
      },
      0,
    ),
    sparseLayers: sparseBehindDense({ dense: 0 }),
    hasQkNorm: constant(true),
    predictionLayers: constant(0),
    slidingWindows: slidingByLayer({ window: 4096, maxWindowLayers: 62 }),
  },
});

/** GLM 4.5 whose whole heads turn, and whose later layers may have a window (arXiv:2506.05767, section 2.1). */
export class FlashDots1ForCausalLMATB extends FlashGlm4MoeForCausalLMATB {
  override readonly name: string = 'dots1';
}

export const Dots1Router = routerOf(DOTS1_CONFIG, FlashDots1ForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['as glm4_moe', 'norms of q and k', 'windows by layer'],
    reference: 'transformers',
  },
});
registerModel('dots1', Dots1Router);
