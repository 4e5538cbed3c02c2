import {
  activatedClamps,
  biases,
  type ConfigOf,
  constant,
  defineConfig,
  expertGroups,
  experts,
  type Field,
  field,
  flag,
  fullAttention,
  HEAD_SIZE,
  HEADS,
  integer,
  keysBecause,
  latentAttention,
  layersOfType,
  mlp,
  only,
  positive,
  predictionLayers,
  type RotarySizes,
  rotaryConfig,
  routedScalingFactor,
  SIZE,
  sparseByType,
  textModel,
} from '../../layers/config/index.js';
import type { RopeConfig } from '../../step-inputs/index.js';
import { SARVAM_IRRELEVANT, sarvamExperts } from '../sarvam_moe/index.js';

/** Files that transformers wrote call another size `head_dim`, and this one `linear_head_dim`. */
const linearHeadSize: Field<number> = {
  read: (json) => json.value('linear_head_dim', SIZE) ?? json.value('head_dim', SIZE) ?? 128,
};

/** Below this no logarithm of a decay goes; undefined where the gate is not a safe one. */
const decayBound: Field<number | undefined> = {
  read(json) {
    const bound = json.value('kda_lower_bound', positive(-1e-3, -1e3)) ?? -5;
    return (json.value('kda_safe_gate', flag) ?? true) ? bound : undefined;
  },
};

/** As much turns as `qk_rope_head_dim` says; published files name its share of a head once more. */
const rope: Field<RopeConfig, RotarySizes> = {
  read(json, config) {
    const read = rotaryConfig({ theta: 6_000_000, factor: 1, interleaved: true }).read(json, config);
    return { ...read, rotaryDim: config.headDim };
  },
};

/** The last layer of each group attends. Older models under this name have lightning attention in the others. */
const attends = layersOfType('full_attention', 'linear_attention', (json) => {
  const found = json.raw('architectures');
  if (Array.isArray(found) && found.includes('BailingMoeV2_5ForCausalLM'))
    json.problem(
      'architectures: BailingMoeV2_5ForCausalLM, which has lightning attention, is not supported by this family',
    );
  const size = field('layer_group_size', integer(1, 1000), 6).read(json, {});
  return (layer) => (layer + 1) % size === 0;
});

/** Defaults of transformers 5.24, BailingHybridConfig. */
export const BAILING_HYBRID_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: false }),
    ...mlp({ hiddenAct: 'silu' }),
    rmsNormEps: field('rms_norm_eps', positive(1), 1e-6),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    ...latentAttention({
      ...{ qLoraRank: undefined, kvLoraRank: 512, qkNopeHeadDim: 128, qkRopeHeadDim: 64, vHeadDim: 128 },
    }),
    headDim: field('qk_rope_head_dim', HEAD_SIZE, 64),
    rope,
    attends,
    slidingWindows: fullAttention,
    linearHeads: field(['linear_num_heads', 'num_attention_heads'], HEADS, 32),
    linearHeadSize,
    convTaps: field(['short_conv_kernel_size', 'linear_conv_kernel_dim'], integer(2, 64), 4),
    gateRank: constant(undefined),
    decayBound,
    ...experts({ numExperts: 512, numExpertsPerToken: 8, moeIntermediateSize: 768, normTopkProb: true }),
    ...sarvamExperts,
    expertGroups: expertGroups({ count: 8, kept: 4, scored: 2 }),
    routedScalingFactor: routedScalingFactor(2.5),
    sparseLayers: sparseByType({ dense: 2 }),
    predictionLayers: predictionLayers(1),
    clamps: activatedClamps('expert_swiglu_limit_list'),
    sharedClamps: activatedClamps('share_expert_swiglu_limit_list'),
    // What published files say of what all models of the family have.
    scoring: field('scoring_func', only('sigmoid'), 'sigmoid'),
    choice: field('topk_method', only('noaux_tc'), 'noaux_tc'),
    interleaves: field('rope_interleave', only(true), true),
    gateOfHeads: field('gated_attention_proj_granularity_type', only('head_wise'), 'head_wise'),
    ofLinearLayers: field('linear_attention', only('kda'), 'kda'),
    hasWholeGates: field('no_kda_lora', only(true), true),
    hasGatesOfLowRank: field('use_kda_lora', only(false), false),
    turnsNothing: field('use_mla_nope', only(false), false),
    qkvBiasOfFiles: field('use_qkv_bias', only(false), false),
    biasOfFiles: field('use_bias', only(false), false),
    isNormalized: field('use_nGPT', only(false), false),
    normsUp: field('up_proj_norm', only(false), false),
    normsValues: field('value_norm', only(false), false),
    scalesRouterInput: field('scale_router_input', only(false), false),
  },
  irrelevant: {
    ...SARVAM_IRRELEVANT,
    use_qk_norm: 'names no norm: linear attention divides queries and keys by their lengths',
    router_dtype: 'experts are chosen in f32 whatever it says',
    qk_head_dim: 'is the sum of both parts of a head',
    rotary_dim: 'is qk_rope_head_dim',
    mtp_use_kda: 'is about layers that guess further tokens',
    ...keysBecause('is used in training alone', 'mtp_loss_scaling_factor'),
    ...keysBecause(
      'is about lightning attention, which older models under this name have',
      ...['group_norm_size', 'linear_silu', 'num_kv_heads_for_linear_attn'],
    ),
  },
});
export type BailingHybridConfig = ConfigOf<typeof BAILING_HYBRID_CONFIG>;
