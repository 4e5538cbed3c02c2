import {
  biases,
  type ExpertDefaults,
  experts,
  field,
  fullAttention,
  integer,
  type LatentAttentionDefaults,
  latentAttention,
  mlp,
  only,
  positive,
  routedScalingFactor,
  textModel,
} from '../../layers/config/index.js';

/** The defaults that a generation of DeepSeek must state. */
export interface DeepseekDefaults extends LatentAttentionDefaults {
  readonly experts: ExpertDefaults & { readonly numExperts: number };
  readonly numSharedExperts: number;
  readonly firstDenseLayers: number;
  readonly routedScalingFactor: number;
  readonly mlpBias: false | 'mlp_bias';
}

const COUNT = integer(0, 10_000);
const EXPERT_NAMES = ['n_routed_experts', 'num_experts', 'num_local_experts'];

/** What generations of DeepSeek from the second on say alike; `experts` stand under the name of those that are chosen. */
export const deepseek = (defaults: DeepseekDefaults) => ({
  ...textModel({ tieWordEmbeddings: false }),
  ...latentAttention(defaults),
  ...mlp({ hiddenAct: 'silu' }),
  ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: defaults.mlpBias }),
  ...experts(defaults.experts),
  numExperts: field(EXPERT_NAMES, integer(1, 10_000), defaults.experts.numExperts),
  numSharedExperts: field('n_shared_experts', COUNT, defaults.numSharedExperts),
  firstDenseLayers: field('first_k_dense_replace', COUNT, defaults.firstDenseLayers),
  // The published code has layers of experts at every so many; transformers has them at every one.
  expertLayerStep: field('moe_layer_freq', only(1), 1),
  routedScalingFactor: routedScalingFactor(defaults.routedScalingFactor),
  // Layers behind the last, which guess further tokens: they change none that is generated without them.
  predictionLayers: field(['num_nextn_predict_layers', 'num_mtp_layers'], COUNT, 0),
  rmsNormEps: field('rms_norm_eps', positive(1), 1e-6),
  slidingWindows: fullAttention,
});

/** Keys that change nothing that is generated. */
export const DEEPSEEK_IRRELEVANT = {
  ep_size: 'says over how many devices training spread the experts',
  qk_head_dim: 'is the sum of both parts of a head',
} as const;
