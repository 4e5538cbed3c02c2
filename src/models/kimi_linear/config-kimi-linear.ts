import {
  biases,
  type ConfigOf,
  type ConfigReader,
  defineConfig,
  experts,
  type Field,
  field,
  flag,
  HEAD_SIZE,
  HEADS,
  integer,
  keysBecause,
  LENGTH,
  latentAttention,
  layersOfType,
  listOf,
  mlp,
  oneOf,
  only,
  positive,
  routedScalingFactor,
  SIZE,
  sharedExperts,
  sparseBehindDense,
  textModel,
} from '../../layers/config/index.js';

const LAYER = integer(1, 1000);

const sectionOf = (json: ConfigReader): ConfigReader | undefined => json.section('linear_attn_config');

/** In `linear_attn_config`, or under transformers' own name. */
const ofLinear = (inner: string, outer: string, check: typeof SIZE, fallback: number): Field<number> => ({
  read: (json) => sectionOf(json)?.value(inner, check) ?? json.value(outer, check) ?? fallback,
});

const linearHeadSize = ofLinear('head_dim', 'linear_head_dim', SIZE, 128);

/** Those of `full_attn_layers`, which counts from 1; every fourth after the first without it. */
function attendingLayers(json: ConfigReader): (layer: number) => boolean {
  const layers = listOf(LAYER, 'numbers of layers');
  const attending = sectionOf(json)?.value('full_attn_layers', layers);
  // The others, by name.
  sectionOf(json)?.value('kda_layers', layers);
  return (layer) => attending?.includes(layer + 1) ?? (layer > 0 && layer % 4 === 0);
}

/** `mlp_layer_types`, or all but the first `first_k_dense_replace`. */
const sparseLayers: Field<readonly boolean[], { readonly numHiddenLayers: number }> = {
  read(json, config) {
    const behind = sparseBehindDense({ dense: 1 }).read(json, config);
    const types = json.value('mlp_layer_types', listOf(oneOf('dense', 'sparse'), '"dense" and "sparse"'));
    if (types !== undefined && types.length !== config.numHiddenLayers)
      json.problem(`mlp_layer_types must have one entry for each of the ${config.numHiddenLayers} layers`);
    return types?.map((type) => type === 'sparse') ?? behind;
  },
};

/** Defaults of transformers 5.24, KimiLinearConfig. */
export const KIMI_LINEAR_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: false }),
    maxPositionEmbeddings: field(['model_max_length', 'max_position_embeddings'], LENGTH, 1_048_576),
    ...mlp({ hiddenAct: 'silu' }),
    rmsNormEps: field('rms_norm_eps', positive(1), 1e-5),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    ...latentAttention({
      qLoraRank: 0,
      kvLoraRank: 512,
      qkNopeHeadDim: 128,
      qkRopeHeadDim: 64,
      vHeadDim: 128,
    }),
    qLoraRank: field('q_lora_rank', SIZE, undefined),
    headDim: field('qk_rope_head_dim', HEAD_SIZE, 64),
    linearHeads: ofLinear('num_heads', 'linear_num_heads', HEADS, 32),
    linearHeadSize,
    gateRank: linearHeadSize,
    convTaps: ofLinear('short_conv_kernel_size', 'linear_conv_kernel_dim', integer(2, 64), 4),
    attends: layersOfType('full_attention', 'linear_attention', attendingLayers),
    ...experts({
      numExperts: 256,
      numExpertsPerToken: 8,
      moeIntermediateSize: 1024,
      normTopkProb: true,
      names: { numExpertsPerToken: ['num_experts_per_token', 'num_experts_per_tok'] },
    }),
    normTopkProb: field(['moe_renormalize', 'norm_topk_prob'], flag, true),
    groups: field(['num_expert_group', 'n_group'], only(1), 1),
    keptGroups: field('topk_group', only(1), 1),
    scoring: field('moe_router_activation_func', only('sigmoid'), 'sigmoid'),
    sharedExperts: sharedExperts(['num_shared_experts', 'n_shared_experts'], 1),
    routedScalingFactor: routedScalingFactor(2.446),
    sparseLayers,
    turnsNothing: field('mla_use_nope', only(true), true),
  },
  irrelevant: keysBecause(
    'is not read by the layers of KimiLinearModel',
    ...[
      'head_dim',
      'rope_theta',
      'rope_scaling',
      'rope_parameters',
      'use_grouped_topk',
      'num_nextn_predict_layers',
    ],
  ),
});
export type KimiLinearConfig = ConfigOf<typeof KIMI_LINEAR_CONFIG>;
