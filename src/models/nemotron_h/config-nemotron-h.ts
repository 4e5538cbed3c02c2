import {
  activation,
  biases,
  type ConfigOf,
  type ConfigReader,
  defineConfig,
  expertGroups,
  experts,
  type Field,
  field,
  fullAttention,
  groupedQueryAttention,
  HEADS,
  keysBecause,
  LLAMA_DEFAULTS,
  listOf,
  mambaGroups,
  ORIGINAL_MAMBA2_IRRELEVANT,
  oneOf,
  only,
  originalMamba2,
  positive,
  predictionLayers,
  routedScalingFactor,
  SIZE,
  text,
  textModel,
  WIDTH,
} from '../../layers/config/index.js';

/** What a layer does. */
export type Mixer = 'mamba' | 'attention' | 'mlp' | 'moe';

/** By their signs in `hybrid_override_pattern`. */
const SIGNS: Readonly<Record<string, Mixer>> = { M: 'mamba', '*': 'attention', '-': 'mlp', E: 'moe' };

/** By their names in lists, which transformers 5 changed. */
const NAMES = {
  linear_attention: 'mamba',
  full_attention: 'attention',
  mamba: 'mamba',
  attention: 'attention',
  mlp: 'mlp',
  moe: 'moe',
} as const satisfies Record<string, Mixer>;

const named = Object.keys(NAMES) as (keyof typeof NAMES)[];

function signed(json: ConfigReader): Mixer[] | undefined {
  const pattern = json.value('hybrid_override_pattern', text);
  if (pattern === undefined) return undefined;
  const unknown = [...pattern].filter((sign) => !Object.hasOwn(SIGNS, sign));
  if (unknown.length > 0)
    json.fail(`hybrid_override_pattern must be made of ${Object.keys(SIGNS).join(' ')}, found ${unknown[0]}`);
  return [...pattern].flatMap((sign) => SIGNS[sign] ?? []);
}

/** A list comes before a pattern, and both before the class's four layers. */
const mixers: Field<readonly Mixer[]> = {
  read(json) {
    const pattern = signed(json);
    const list = json.value(['layers_block_type', 'layer_types'], listOf(oneOf(...named), named.join(', ')));
    const found = list?.map((name) => NAMES[name]) ?? pattern ?? ['mamba', 'moe', 'attention', 'mlp'];
    if (found.length > 0) return found;
    return json.fail(
      `${list ? 'layers_block_type' : 'hybrid_override_pattern'} must name a layer, found none`,
    );
  },
};

/** As many as have a mixer, whatever `num_hidden_layers` says. */
const numHiddenLayers: Field<number, { readonly mixers: readonly Mixer[] }> = {
  read(json, config) {
    json.raw('num_hidden_layers');
    return config.mixers.length;
  },
};

/** Defaults of transformers 5.24, NemotronHConfig. */
export const NEMOTRON_H_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: false }),
    mixers,
    numHiddenLayers,
    ...groupedQueryAttention({ ...LLAMA_DEFAULTS, numKeyValueHeads: 8, headDim: 128 }),
    headDim: field(['head_dim', 'attention_head_dim'], SIZE, 128),
    intermediateSize: field('intermediate_size', WIDTH, 21_504),
    hiddenAct: activation('mlp_hidden_act', 'relu2'),
    rmsNormEps: field('layer_norm_epsilon', positive(1), 1e-5),
    ...biases({ qkv: field('attention_bias', only(false), false), dense: false, mlp: 'mlp_bias' }),
    ...originalMamba2,
    mambaHeads: field('mamba_num_heads', HEADS, 128),
    mambaGroups: mambaGroups('n_groups', 8),
    mambaHeadSize: field('mamba_head_dim', SIZE, 64),
    mambaStateSize: field('ssm_state_size', SIZE, 128),
    mambaAct: field('mamba_hidden_act', only('silu'), 'silu'),
    ...experts({
      numExperts: 8,
      numExpertsPerToken: 2,
      moeIntermediateSize: 7688,
      normTopkProb: true,
      names: { numExperts: ['n_routed_experts', 'num_local_experts'] },
    }),
    sharedIntermediateSize: field('moe_shared_expert_intermediate_size', WIDTH, 7688),
    latentSize: field('moe_latent_size', SIZE, undefined),
    expertGroups: expertGroups({ count: 1, kept: 1, scored: 2 }),
    routedScalingFactor: routedScalingFactor(1),
    predictionLayers: predictionLayers(0),
    slidingWindows: fullAttention,
  },
  irrelevant: {
    ...ORIGINAL_MAMBA2_IRRELEVANT,
    mamba_proj_bias: 'is not what projections read, which is use_bias',
    n_shared_experts: 'is one, of moe_shared_expert_intermediate_size',
    ...keysBecause(
      'belongs to layers that guess further tokens',
      'mtp_layers_block_type',
      'mtp_hybrid_override_pattern',
    ),
    ...keysBecause('says how another program computes', 'mamba_ssm_cache_dtype', 'moe_shared_expert_overlap'),
    ...keysBecause(
      'is not read by the layers of NemotronHModel',
      ...['rope_theta', 'partial_rotary_factor', 'sliding_window', 'norm_eps', 'rms_norm_eps'],
    ),
  },
});
export type NemotronHConfig = ConfigOf<typeof NEMOTRON_H_CONFIG>;
