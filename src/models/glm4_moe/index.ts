import { RotaryAttention } from '../../layers/attention/attention-orders.js';
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
import { sigmoidExperts } from '../../layers/experts/sigmoid-experts.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashSparseLlamaATB, type SparseLlamaParts } from '../llama/index.js';
import { Qwen3Attention } from '../qwen3/index.js';

/** Experts as GLM 4.5 and its relatives say what they are; `shared`: how many experts' width all tokens pass through. */
export const glm4Experts = (defaults: Omit<ExpertDefaults, 'names'>, shared: number) => ({
  ...experts({ ...defaults, names: { numExperts: ['n_routed_experts', 'num_local_experts'] } }),
  expertGroups: expertGroups({ count: 1, kept: 1, scored: 2 }),
  routedScalingFactor: routedScalingFactor(1),
  sharedExperts: sharedExperts('n_shared_experts', shared),
});

/** A decoder some of whose MLPs are such experts; `qkv`: whether queries, keys and values have biases. */
export const glm4MoeText = (qkv: boolean) => ({
  ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 8, rmsNormEps: 1e-5, rotary: { factor: 0.5 } }),
  ...biases({ qkv: field('attention_bias', flag, qkv), dense: false, mlp: false }),
  ...glm4Experts(
    { numExperts: 128, numExpertsPerToken: 8, moeIntermediateSize: 1408, normTopkProb: true },
    1,
  ),
  sparseLayers: sparseBehindDense({ dense: 1 }),
  slidingWindows: fullAttention,
});

/** Defaults of transformers 5.24, Glm4MoeConfig. */
const GLM4_MOE_CONFIG = defineConfig({
  fields: {
    ...glm4MoeText(false),
    predictionLayers: predictionLayers(1),
    hasQkNorm: field('use_qk_norm', flag, false),
  },
});

type Glm4MoeConfig = ConfigOf<typeof GLM4_MOE_CONFIG>;

/** What layers of GLM 4.5 are made of; in some models queries and keys are normed. */
export function glm4MoeParts(
  config: Omit<Glm4MoeConfig, 'predictionLayers' | 'hasQkNorm'>,
  Attention: typeof RotaryAttention | typeof Qwen3Attention = RotaryAttention,
): SparseLlamaParts {
  return {
    selfAttn: (layerId, at) => new Attention(layerId, config, at),
    experts: (at) => sigmoidExperts(config, at, { correction: 'gate.e_score_correction_bias' }),
  };
}

/**
 * Llama of which half a head turns, with Qwen 3's norms of queries and keys in some models, and with experts that are chosen
 * as in DeepSeek-V3 (arXiv:2508.06471, section 2.1).
 */
export class FlashGlm4MoeForCausalLMATB extends FlashSparseLlamaATB<Glm4MoeConfig> {
  readonly name: string = 'glm4_moe';

  constructor(config: Glm4MoeConfig, weights: Weights) {
    super(config, weights, glm4MoeParts(config, config.hasQkNorm ? Qwen3Attention : RotaryAttention));
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
