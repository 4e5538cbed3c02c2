import {
  biases,
  type ConfigOf,
  constant,
  decoder,
  defineConfig,
  experts,
  field,
  LLAMA_DEFAULTS,
  slidingByLayer,
  sparseByStepsBeside,
  WIDTH,
} from '../../layers/config/index.js';
import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP } from '../../layers/experts/experts.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { exaone4Attention } from '../exaone4/index.js';
import { FlashSparseLlamaATB } from '../llama/index.js';

/** Defaults of transformers 5.24, FlintConfig. */
const FLINT_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 4, headDim: 128 }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    ...experts({ numExperts: 256, numExpertsPerToken: 6, moeIntermediateSize: 512, normTopkProb: true }),
    sharedIntermediateSize: field('shared_expert_intermediate_size', WIDTH, 1024),
    sparseLayers: sparseByStepsBeside({ dense: [0, 1] }),
    /** Layers that see everything know no positions, even where no layer has a window. */
    isHybrid: constant(true),
    slidingWindows: slidingByLayer({
      window: 513,
      slides: (layer, { numHiddenLayers }) => layer >= 2 && layer % 4 !== 1 && layer !== numHiddenLayers - 1,
    }),
  },
});
type FlintConfig = ConfigOf<typeof FLINT_CONFIG>;

/** Llama's layers with EXAONE 4's attention and sinks, and with experts whose sigmoids choose them, uncorrected. */
export class FlashFlintForCausalLMATB extends FlashSparseLlamaATB<FlintConfig> {
  readonly name = 'flint';

  constructor(config: FlintConfig, weights: Weights) {
    super(config, weights, {
      selfAttn: (layerId, at) => exaone4Attention(layerId, config, at, { sinks: 'softmax_offset' }),
      experts: (at) =>
        new SparseMLP({
          router: new ExpertRouter({ ...config, scoring: 'sigmoid' }, at),
          experts: new Experts(config, at.at('experts')),
          shared: new BaseMLP(
            { ...config, intermediateSize: config.sharedIntermediateSize },
            at.at('shared_expert'),
          ),
        }),
    });
  }
}

export const FlintRouter = routerOf(FLINT_CONFIG, FlashFlintForCausalLMATB, {
  about: {
    kind: 'experts',
    features: [
      ...['norms of q and k', 'sinks', 'windows by layer', 'layers without rotary'],
      ...['sigmoids without a correction', 'a shared expert', 'MLPs beside experts'],
    ],
    reference: 'transformers',
  },
});
registerModel('flint', FlintRouter);
