import {
  biases,
  type ExpertDefaults,
  experts,
  field,
  fullAttention,
  type LatentAttentionDefaults,
  latentAttention,
  mlp,
  only,
  positive,
  predictionLayers,
  routedScalingFactor,
  sharedExperts,
  sparseBehindDense,
  textModel,
} from '../../layers/config/index.js';

/** The defaults that a generation of DeepSeek must state. */
export interface DeepseekDefaults extends LatentAttentionDefaults {
  readonly experts: Omit<ExpertDefaults, 'names'>;
  readonly sharedExperts: number;
  /** How many of the first layers have an MLP in place of experts. */
  readonly firstDenseLayers: number;
  readonly routedScalingFactor: number;
  readonly mlpBias: false | 'mlp_bias';
}

const names = { numExperts: ['n_routed_experts', 'num_experts', 'num_local_experts'] };

/** What generations of DeepSeek from the second on say alike. */
export const deepseek = (defaults: DeepseekDefaults) => ({
  ...textModel({ tieWordEmbeddings: false }),
  ...latentAttention(defaults),
  ...mlp({ hiddenAct: 'silu' }),
  ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: defaults.mlpBias }),
  ...experts({ ...defaults.experts, names }),
  sharedExperts: sharedExperts('n_shared_experts', defaults.sharedExperts),
  sparseLayers: sparseBehindDense({ dense: defaults.firstDenseLayers }),
  // The published code has layers of experts at every so many; transformers has them at every one.
  expertLayerStep: field('moe_layer_freq', only(1), 1),
  routedScalingFactor: routedScalingFactor(defaults.routedScalingFactor),
  predictionLayers: predictionLayers(0),
  rmsNormEps: field('rms_norm_eps', positive(1), 1e-6),
  slidingWindows: fullAttention,
});

/** Keys that change nothing that is generated. */
export const DEEPSEEK_IRRELEVANT = {
  ep_size: 'says over how many devices training spread the experts',
  qk_head_dim: 'is the sum of both parts of a head',
} as const;
