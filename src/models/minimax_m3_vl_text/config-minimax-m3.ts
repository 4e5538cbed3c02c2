import {
  biases,
  type Check,
  type ConfigOf,
  type ConfigReader,
  constant,
  decoder,
  defineConfig,
  experts,
  type Field,
  field,
  fullAttention,
  HEADS,
  integer,
  keysBecause,
  LLAMA_DEFAULTS,
  layersOfType,
  listOf,
  markedLayers,
  oneOf,
  only,
  positive,
  predictionLayers,
  rotaryConfig,
  routedScalingFactor,
  SIZE,
  WIDTH,
} from '../../layers/config/index.js';
import type { RopeConfig } from '../../step-inputs/index.js';
import { SIGMOID } from '../deepseek_v3/index.js';

/** The object in which published files say what transformers 5 writes beside it. */
const SECTION = 'sparse_attention_config';
/** The cache's smallest blocks: those that are chosen are made of whole ones. */
const SLOTS = 32;
const BLOCKS = integer(0, 2 ** 15);

/** A number under the name of transformers 5, or under that of published files. */
function said(json: ConfigReader, name: string, older: string, check: Check<number>, fallback: number) {
  const own = json.value(name, check);
  const published = json.section(SECTION)?.value(older, check);
  if (own !== undefined && published !== undefined && own !== published)
    json.fail(`${name} (${own}) and ${SECTION}.${older} (${published}) contradict each other`);
  return own ?? published ?? fallback;
}

/** A number that must be what attention has under another name. */
function asAttention(json: ConfigReader, name: string, older: string, of: string, wanted: number): number {
  const found = said(json, name, older, SIZE, wanted);
  if (found !== wanted) json.problem(`${name} must be ${of} (${wanted}), found ${found}`);
  return found;
}

/** What published files say of all their indexers, of which one kind is built. */
function requireOneKind(json: ConfigReader): void {
  const section = json.section(SECTION);
  section?.optional('use_sparse_attention', only(true));
  section?.optional('sparse_score_type', only('max'));
  section?.optional('sparse_init_block', only(0));
}

type Layers = { readonly numHiddenLayers: number };

/** For each layer, whether an indexer chooses what it attends to. */
const blockLayers: Field<readonly boolean[], Layers> = {
  read(json, config) {
    const section = json.section(SECTION);
    const marked = section && markedLayers(section, 'sparse_attention_freq', config);
    const sparse = layersOfType(
      'minimax_m3_sparse',
      'full_attention',
      () => (layer) => marked?.[layer] ?? false,
    ).read(json, config);
    const plain = section && markedLayers(section, 'sparse_disable_index_value', config);
    const valued = sparse.findIndex((isSparse, layer) => isSparse && plain?.[layer] === false);
    if (valued >= 0)
      section?.problem(`sparse_disable_index_value must be 1 in layer ${valued}: indexers have no values`);
    requireOneKind(json);
    return sparse;
  },
};

/** For each layer, whether its MLP is experts: all are in files that do not say it. */
const sparseLayers: Field<readonly boolean[], Layers> = {
  read(json, config) {
    const marked = markedLayers(json, 'moe_layer_freq', config);
    const otherwise = () => (layer: number) => marked?.[layer] ?? true;
    return layersOfType('sparse', 'dense', otherwise, 'mlp_layer_types').read(json, config);
  },
};

/** Where files say how many numbers of a head turn, it must be the share that the model reads. */
const turnedSize: Field<number, { readonly rope: RopeConfig }> = {
  read(json, { rope: { rotaryDim } }) {
    const found = json.value('rotary_dim', SIZE) ?? rotaryDim;
    if (found !== rotaryDim)
      json.problem(
        `rotary_dim must be what partial_rotary_factor makes of head_dim (${rotaryDim}), found ${found}`,
      );
    return found;
  },
};

/** Defaults of transformers 5.24, MiniMaxM3VLTextConfig. */
export const MINIMAX_M3_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 4, headDim: 128 }),
    ...biases({ qkv: false, dense: false, mlp: false }),
    ...experts({
      numExperts: 128,
      numExpertsPerToken: 4,
      moeIntermediateSize: 'intermediate_size',
      normTopkProb: 'always',
    }),
    rope: rotaryConfig({ theta: 5_000_000, factor: 1 }),
    turnedSize,
    slidingWindows: fullAttention,
    // Whatever it says, gates are those of gpt-oss.
    activation: field('hidden_act', oneOf('swigluoai', 'silu'), 'silu'),
    hiddenAct: constant('silu' as const),
    swigluAlpha: field('swiglu_alpha', positive(100), 1.702),
    swigluLimit: field('swiglu_limit', positive(1e6), 7),
    raised: field('swiglu_beta', only(1), 1),
    denseWidth: field('dense_intermediate_size', WIDTH, 12_288),
    sharedWidth: field('shared_intermediate_size', WIDTH, 3072),
    sharedExperts: field('n_shared_experts', only(1), 1),
    sparseLayers,
    scoring: SIGMOID,
    routedScalingFactor: routedScalingFactor(2),
    correctsChoice: field('use_routing_bias', only(true), true),
    predictionLayers: predictionLayers(0),
    hasOffsetNorms: field('use_gemma_norm', only(true), true),
    normsHeads: field('use_qk_norm', only(true), true),
    normedByHead: field('qk_norm_type', only('per_head'), 'per_head'),
    hasGate: field('attention_output_gate', only(false), false),
    blockLayers,
    indexHeads: {
      read: (json, { numKeyValueHeads: heads }) =>
        asAttention(json, 'index_n_heads', 'sparse_num_index_heads', 'num_key_value_heads', heads),
    } satisfies Field<number, { readonly numKeyValueHeads: number }>,
    indexHeadDim: {
      read: (json, { headDim }) =>
        asAttention(json, 'index_head_dim', 'sparse_index_dim', 'head_dim', headDim),
    } satisfies Field<number, { readonly headDim: number }>,
    indexBlockSize: {
      read(json) {
        const found = said(json, 'index_block_size', 'sparse_block_size', SIZE, 128);
        if (found % SLOTS !== 0)
          json.problem(`index_block_size must be a multiple of ${SLOTS}, found ${found}`);
        return found;
      },
    } satisfies Field<number>,
    indexTopBlocks: {
      read: (json) => said(json, 'index_topk_blocks', 'sparse_topk_blocks', integer(1, 2 ** 15), 16),
    } satisfies Field<number>,
    indexLocalBlocks: {
      read(json, { indexTopBlocks: most }) {
        const found = said(json, 'index_local_blocks', 'sparse_local_block', BLOCKS, 1);
        if (found > most)
          json.problem(`index_local_blocks (${found}) must be at most index_topk_blocks (${most})`);
        return found;
      },
    } satisfies Field<number, { readonly indexTopBlocks: number }>,
  },
  irrelevant: {
    router_jitter_noise: 'is added in training alone',
    ...keysBecause(
      'tells of layers that guess further tokens, which are left out',
      ...['use_mtp', 'num_mtp_modules', 'mtp_transformer_layers'],
    ),
  },
});
export type MiniMaxM3Config = ConfigOf<typeof MINIMAX_M3_CONFIG>;
