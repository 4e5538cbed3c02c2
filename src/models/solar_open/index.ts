import {
  biases,
  constant,
  decoder,
  defineConfig,
  fullAttention,
  LLAMA_DEFAULTS,
  mlpWidth,
  sparseBehindDense,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { FlashGlm4MoeForCausalLMATB, glm4Experts } from '../glm4_moe/index.js';

/** Defaults of transformers 5.24, SolarOpenConfig. */
const SOLAR_OPEN_CONFIG = defineConfig({
  fields: {
    ...decoder({
      ...LLAMA_DEFAULTS,
      numKeyValueHeads: 8,
      headDim: 128,
      rmsNormEps: 1e-5,
      ropeTheta: 1_000_000,
      rotary: { factor: 1 },
    }),
    // No layer has an MLP of that width.
    intermediateSize: mlpWidth('intermediate_size'),
    ...biases({ qkv: 'attention_bias', dense: false, mlp: false }),
    ...glm4Experts(
      { numExperts: 128, numExpertsPerToken: 8, moeIntermediateSize: 1280, normTopkProb: true },
      1,
    ),
    sparseLayers: sparseBehindDense({ dense: 0 }),
    hasQkNorm: constant(false),
    predictionLayers: constant(0),
    slidingWindows: fullAttention,
  },
});

/** GLM 4.5 whose whole heads turn, with experts in every layer. */
export class FlashSolarOpenForCausalLMATB extends FlashGlm4MoeForCausalLMATB {
  override readonly name = 'solar_open';
}

export const SolarOpenRouter = routerOf(SOLAR_OPEN_CONFIG, FlashSolarOpenForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['as glm4_moe'],
    reference: 'transformers',
  },
});
registerModel('solar_open', SolarOpenRouter);
