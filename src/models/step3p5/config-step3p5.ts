import type { ActivationKind } from '../../common-op-builders/index.js';
import {
  activatedClamps,
  biases,
  type ConfigDict,
  type ConfigOf,
  constant,
  decoder,
  defineConfig,
  experts,
  field,
  HEADS,
  integer,
  keysBecause,
  LLAMA_DEFAULTS,
  listOf,
  only,
  positive,
  predictionLayers,
  rotaryListsByWindow,
  slidingByLayer,
  sparseListed,
  WIDTH,
  windowHeads,
  withoutPredictions,
} from '../../layers/config/index.js';

/** Defaults of transformers 5.24, Step3p7TextConfig. */
const STEP3P5_FIELDS = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 8, headDim: 128, rmsNormEps: 1e-5 }),
    numKeyValueHeads: field(['num_key_value_heads', 'num_attention_groups'], HEADS, 8),
    hiddenAct: constant<ActivationKind>('silu'),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: 'mlp_bias' }),
    slidingHeads: windowHeads('num_sliding_attention_heads', 'attention_other_setting'),
    slidingWindows: slidingByLayer({ window: undefined, slides: () => false }),
    ...rotaryListsByWindow({ theta: 10_000, thetas: 'rope_theta', factors: 'partial_rotary_factors' }),
    scoreSize: field(
      'query_pre_attn_scalar',
      positive(1e6),
      ({ headDim }: { readonly headDim: number }) => headDim,
    ),
    ...experts({
      ...{ numExperts: 288, numExpertsPerToken: 8, moeIntermediateSize: 1280, normTopkProb: 'always' },
      names: {
        numExperts: ['n_routed_experts', 'moe_num_experts', 'num_local_experts'],
        numExpertsPerToken: ['num_experts_per_tok', 'moe_top_k'],
      },
    }),
    sharedWidth: field(['share_expert_dim', 'share_expert_dims'], WIDTH, 1280),
    routedScalingFactor: field('moe_router_scaling_factor', positive(1e6), 1),
    sparseLayers: sparseListed('moe_layers_enum', { dense: 3 }),
    clamps: activatedClamps('swiglu_limits'),
    sharedClamps: activatedClamps('swiglu_limits_shared'),
    predictionLayers: predictionLayers(0),
    // What published files say of what all models of the family have.
    gating: field(['gating', 'use_head_wise_attn_gate'], only(true), true),
    scoring: field('moe_router_activation', only('sigmoid'), 'sigmoid'),
    corrects: field('use_moe_router_bias', only(true), true),
    normsWeights: field('norm_expert_weight', only(true), true),
    hasHeadNorms: field('use_qk_norm', only(true), true),
    hasOffsetNorms: field('zero_centered', only(true), true),
    hasSinks: field('sink', only(false), false),
    attention: field('att_impl_type', only('GQA'), 'GQA'),
    scaledTypes: field('yarn_only_types', listOf(only('full_attention'), '"full_attention"'), []),
    layersThatTurn: field('use_rope_layers', listOf(integer(0, 1000), 'numbers of layers'), []),
  },
  irrelevant: {
    hidden_act: 'Step3p7TextConfig has silu whatever it says',
    max_seq_len: 'the model reads max_position_embeddings',
    ...keysBecause(
      'moe_layers_enum says which layers have experts',
      ...['use_moe', 'moe_every_n_layer', 'moe_layer_offset'],
    ),
    need_fp32_gate: 'experts are chosen in f32 whatever it says',
    ...keysBecause('is about layers that guess further tokens', 'mtp_layer_types', 'mtp_mlp_layer_types'),
    per_layer_config: 'is what num_sliding_attention_heads and layer_types say',
  },
});
export type Step3p5Config = ConfigOf<typeof STEP3P5_FIELDS>;

/** Those with an entry for each layer. */
const LISTS = [
  ...['layer_types', 'mlp_layer_types', 'swiglu_limits', 'swiglu_limits_shared'],
  ...['rope_theta', 'partial_rotary_factors'],
];

export const STEP3P5_CONFIG = {
  read: (dict: ConfigDict, file?: string): Step3p5Config =>
    STEP3P5_FIELDS.read(withoutPredictions(dict, LISTS), file),
};
