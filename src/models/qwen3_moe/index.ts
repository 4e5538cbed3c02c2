import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  experts,
  field,
  only,
  slidingByLayer,
  sparseBySteps,
} from '../../layers/config/index.js';
import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP } from '../../layers/experts/experts.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashSparseLlamaATB } from '../llama/index.js';
import { Qwen3Attention } from '../qwen3/index.js';

/** Defaults of transformers 5.24, Qwen3MoeConfig. */
const QWEN3_MOE_CONFIG = defineConfig({
  fields: {
    ...decoder({
      numKeyValueHeads: 4,
      headDim: 'hidden_size / num_attention_heads',
      hiddenAct: 'silu',
      rmsNormEps: 1e-6,
      ropeTheta: 10_000,
      tieWordEmbeddings: false,
    }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    ...experts({ numExperts: 128, numExpertsPerToken: 8, moeIntermediateSize: 768, normTopkProb: false }),
    sparseLayers: sparseBySteps,
    slidingWindows: slidingByLayer({ useSlidingWindow: false, window: 4096, slides: () => true }),
    hasQkNorm: field('use_qk_norm', only(true), true),
  },
  irrelevant: { max_window_layers: 'Qwen3MoeModel has one window for all layers' },
});

/** What Qwen3 with experts is made of. */
export type Qwen3MoeConfig = Omit<ConfigOf<typeof QWEN3_MOE_CONFIG>, 'hasQkNorm'>;

/** Qwen3 with experts in place of some or all MLPs (arXiv:2505.09388, section 2). */
export class FlashQwen3MoeForCausalLMATB<
  C extends Qwen3MoeConfig = Qwen3MoeConfig,
> extends FlashSparseLlamaATB<C> {
  readonly name: string = 'qwen3_moe';

  constructor(config: C, weights: Weights) {
    super(config, weights, {
      selfAttn: (layerId, at) => new Qwen3Attention(layerId, config, at),
      experts: (at) =>
        new SparseMLP({
          router: new ExpertRouter({ ...config, scoring: 'softmax' }, at),
          experts: new Experts(config, at.at('experts')),
        }),
    });
  }
}

export const Qwen3MoeRouter = routerOf(QWEN3_MOE_CONFIG, FlashQwen3MoeForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['norms of q and k', 'MLPs beside experts'],
    reference: 'transformers',
  },
});
registerModel('qwen3_moe', Qwen3MoeRouter);
