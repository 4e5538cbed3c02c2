import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  experts,
  LLAMA_DEFAULTS,
  slidingEverywhere,
} from '../../layers/config/index.js';
import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP } from '../../layers/experts/experts.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashSparseLlamaATB } from '../llama/index.js';

/** Defaults of transformers 5.24, MixtralConfig. */
const MIXTRAL_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 8, rmsNormEps: 1e-5, ropeTheta: 1_000_000 }),
    ...biases({ qkv: false, dense: false, mlp: false }),
    ...experts({
      numExperts: 8,
      numExpertsPerToken: 2,
      moeIntermediateSize: 'intermediate_size',
      normTopkProb: 'always',
    }),
    slidingWindows: slidingEverywhere({ window: undefined }),
  },
  irrelevant: { router_jitter_noise: 'is added in training alone' },
});

type MixtralConfig = ConfigOf<typeof MIXTRAL_CONFIG>;

/** Mistral with experts in place of all MLPs (arXiv:2401.04088, section 2.1). */
export class FlashMixtralForCausalLMATB extends FlashSparseLlamaATB<MixtralConfig> {
  readonly name = 'mixtral';

  constructor(config: MixtralConfig, weights: Weights) {
    super(config, weights, {
      mlpName: 'block_sparse_moe',
      experts: (at) =>
        new SparseMLP({
          router: new ExpertRouter({ ...config, scoring: 'softmax' }, at),
          experts: new Experts(config, at.at('experts'), { gate: 'w1', up: 'w3', down: 'w2' }),
        }),
    });
  }
}

export const MixtralRouter = routerOf(MIXTRAL_CONFIG, FlashMixtralForCausalLMATB, {
  about: { kind: 'experts', features: ['a window in every layer'], reference: 'transformers' },
});
registerModel('mixtral', MixtralRouter);
