import { RotaryAttention } from '../../layers/attention-orders.js';
import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  type ExpertDefaults,
  expertGroups,
  experts,
  field,
  flag,
  fullAttention,
  LLAMA_DEFAULTS,
  predictionLayers,
  routedScalingFactor,
  sharedExperts,
  sparseBehindDense,
} from '../../layers/config/index.js';
import { ExpertRouter, Experts, type RouterConfig, SparseMLP, sharedMLP } from '../../layers/experts.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashSparseLlamaATB } from '../llama/index.js';
import { Qwen3Attention } from '../qwen3/index.js';

/** Experts as GLM 4.5 and its relatives say what they are; `shared`: how many experts' width all tokens pass through. */
export const glm4Experts = (defaults: Omit<ExpertDefaults, 'names'>, shared: number) => ({
  ...experts({ ...defaults, names: { numExperts: ['n_routed_experts', 'num_local_experts'] } }),
  expertGroups: expertGroups({ count: 1, kept: 1, scored: 2 }),
  routedScalingFactor: routedScalingFactor(1),
  sharedExperts: sharedExperts('n_shared_experts', shared),
});

type ExpertsOfGlm4 = Parameters<typeof sharedMLP>[0] &
  ConstructorParameters<typeof Experts>[0] &
  Omit<RouterConfig, 'scoring'>;

/** Experts that are chosen by corrected sigmoids, as in DeepSeek-V3, and what all tokens share, where there is any. */
export function glm4MLP(config: ExpertsOfGlm4, weights: Weights): SparseMLP {
  const names = { gate: 'gate.weight', correction: 'gate.e_score_correction_bias' };
  const routing = { ...config, scoring: 'sigmoid' as const, sumGuard: { added: 1e-20 } };
  return new SparseMLP({
    router: new ExpertRouter(routing, weights, names),
    experts: new Experts(config, weights.at('experts')),
    shared: sharedMLP(config, weights.at('shared_experts')),
  });
}

/** Defaults of transformers 5.24, Glm4MoeConfig. */
const GLM4_MOE_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 8, rmsNormEps: 1e-5, rotary: { factor: 0.5 } }),
    ...biases({ qkv: 'attention_bias', dense: false, mlp: false }),
    ...glm4Experts(
      { numExperts: 128, numExpertsPerToken: 8, moeIntermediateSize: 1408, normTopkProb: true },
      1,
    ),
    sparseLayers: sparseBehindDense({ dense: 1 }),
    predictionLayers: predictionLayers(1),
    hasQkNorm: field('use_qk_norm', flag, false),
    slidingWindows: fullAttention,
  },
});

type Glm4MoeConfig = ConfigOf<typeof GLM4_MOE_CONFIG>;

/**
 * Llama of which half a head turns, with Qwen 3's norms of queries and keys in some models, and with experts that are chosen
 * as in DeepSeek-V3 (arXiv:2508.06471, section 2.1).
 */
export class FlashGlm4MoeForCausalLMATB extends FlashSparseLlamaATB<Glm4MoeConfig> {
  readonly name: string = 'glm4_moe';

  constructor(config: Glm4MoeConfig, weights: Weights) {
    const Attention = config.hasQkNorm ? Qwen3Attention : RotaryAttention;
    super(config, weights, {
      selfAttn: (layerId, at) => new Attention(layerId, config, at),
      experts: (at) => glm4MLP(config, at),
    });
  }
}

export const Glm4MoeRouter = routerOf(GLM4_MOE_CONFIG, FlashGlm4MoeForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['corrected choice in groups', 'shared experts', 'partial rotary', 'norms of q and k'],
    reference: 'transformers',
  },
});
registerModel('glm4_moe', Glm4MoeRouter);
