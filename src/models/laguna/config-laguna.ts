import {
  biases,
  type Check,
  type ConfigOf,
  decoder,
  defineConfig,
  experts,
  type Field,
  field,
  HEADS,
  integer,
  LLAMA_DEFAULTS,
  listOf,
  only,
  positive,
  rotaryByWindow,
  slidingByLayer,
  sparseByType,
  statedRope,
  WIDTH,
} from '../../layers/config/index.js';

type Layers = { readonly numHiddenLayers: number };
type Heads = { readonly numAttentionHeads: number; readonly numKeyValueHeads: number };

/** For each layer, how many heads its queries have. */
const headsByLayer: Field<readonly number[], Layers & Heads> = {
  read(json, { numHiddenLayers: layers, numAttentionHeads, numKeyValueHeads: kvHeads }) {
    const name = 'num_attention_heads_per_layer';
    const listed = json.value(name, listOf(HEADS, 'numbers of heads'));
    const heads = listed ?? Array.from({ length: layers }, () => numAttentionHeads);
    if (heads.length !== layers)
      json.problem(`${name} must have one entry for each of the ${layers} layers, found ${heads.length}`);
    const odd = heads.find((count) => count % kvHeads !== 0);
    if (odd !== undefined)
      json.problem(`${name} must be multiples of num_key_value_heads (${kvHeads}), found ${odd}`);
    return heads;
  },
};

/** Published files say it twice, the second time in a list that transformers does not read: both must mean the same. */
const sparseLayers: Field<readonly boolean[], Layers> = {
  read(json, config) {
    const sparse = sparseByType({ dense: 1 }).read(json, config);
    const dense = json.optional('mlp_only_layers', listOf(integer(0, 1000), 'numbers of layers'));
    const expected = sparse.flatMap((is, layer) => (is ? [] : [layer]));
    if (dense !== undefined && dense.join() !== expected.join())
      json.problem(
        `mlp_only_layers must be [${expected.join(', ')}], the layers that mlp_layer_types calls dense`,
      );
    return sparse;
  },
};

const GATES = ['per-head', 'per-element'];
const gating: Check<boolean | string> = {
  safeParse: (value) =>
    value === true || GATES.some((kind) => kind === value)
      ? { success: true, data: value as boolean | string }
      : { success: false, error: { issues: [{ message: `must be true or one of ${GATES.join(', ')}` }] } },
};

/** Whether attention has a gate for each head, or one for each number. */
const gatesHeads: Field<boolean> = {
  read: (json) => (json.value('gating', gating) ?? true) !== 'per-element',
};

/** Defaults of transformers 5.24, LagunaConfig. */
export const LAGUNA_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 8, headDim: 128 }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    hasRope: statedRope('LagunaConfig'),
    ...rotaryByWindow({
      full_attention: { theta: 500_000, factor: 1, isScaled: false },
      sliding_attention: { theta: 10_000, factor: 1, isScaled: false },
    }),
    headsByLayer,
    gatesHeads,
    gateKinds: field('gating_types', listOf(only('per_head'), '"per_head"'), []),
    hasSinks: field('swa_attention_sink_enabled', only(false), false),
    ...experts({ numExperts: 256, numExpertsPerToken: 8, moeIntermediateSize: 512, normTopkProb: 'always' }),
    sharedIntermediateSize: field('shared_expert_intermediate_size', WIDTH, 512),
    routedScalingFactor: field('moe_routed_scaling_factor', positive(1e6), 1),
    // Which no published model asks for.
    boundsRouter: field('moe_router_logit_softcapping', only(0), 0),
    weighsInputs: field('moe_apply_router_weight_on_input', only(false), false),
    sparseLayers,
    expertLayerStep: field('decoder_sparse_step', only(1), 1),
    slidingWindows: slidingByLayer({ window: 512, slides: () => false }),
  },
});
export type LagunaConfig = ConfigOf<typeof LAGUNA_CONFIG>;
