import { loadModels } from '../../src/models/get-model.js';
import { type Dict, itIsRead, itIsRefused } from './published-checks.js';

/** Further layers are like the last of these. */
const LAYERS = 5;
/** For each layer: the first of every four, or the last of them, is of another kind. */
const inFours = <T>(kind: T, other: T, at: 0 | 3): readonly T[] =>
  Array.from({ length: LAYERS }, (_, layer) => (layer % 4 === at ? other : kind));
const SPARSE = ['dense', ...Array.from({ length: LAYERS - 1 }, () => 'sparse')];

const ALL = { attention_dropout: 0, hidden_act: 'silu', initializer_range: 0.02, use_cache: true };
const rope = (rope_theta: number) => ({ rope_parameters: { rope_type: 'default', rope_theta } });

/** As a test of TensorRT-LLM quotes the first published file. */
const K_EXAONE = {
  ...ALL,
  model_type: 'exaone_moe',
  bos_token_id: 1,
  dtype: 'bfloat16',
  eos_token_id: 53,
  first_last_k_dense_replace: 1,
  head_dim: 128,
  hidden_size: 6144,
  intermediate_size: 18_432,
  is_moe_layer: SPARSE.map((kind) => kind === 'sparse'),
  layer_types: inFours('sliding_attention', 'full_attention', 3),
  max_position_embeddings: 262_144,
  moe_intermediate_size: 2048,
  n_group: 1,
  norm_topk_prob: true,
  num_attention_heads: 64,
  num_experts: 128,
  num_experts_per_tok: 8,
  num_hidden_layers: LAYERS,
  num_key_value_heads: 8,
  num_shared_experts: 1,
  pad_token_id: 0,
  rms_norm_eps: 1e-5,
  rope_scaling: null,
  rope_theta: 1_000_000,
  routed_scaling_factor: 2.5,
  scoring_func: 'sigmoid',
  sliding_window: 128,
  sliding_window_pattern: 'LLLG',
  tie_word_embeddings: false,
  tokenizer_class: 'GPT2Tokenizer',
  topk_group: 1,
  topk_method: 'noaux_tc',
  vocab_size: 153_600,
};
const { first_last_k_dense_replace: _, rope_scaling: __, rope_theta: ___, ...K_EXAONE_REST } = K_EXAONE;
const K_EXAONE_LATER = {
  ...K_EXAONE_REST,
  first_k_dense_replace: 1,
  mlp_layer_types: SPARSE,
  num_nextn_predict_layers: 1,
  ...rope(1_000_000),
};

/** As readers of Hy3's config.json quote it (mistral.rs, a report on KV caches): Hy3 and Hy3-preview say the same. */
const HY3 = {
  ...ALL,
  model_type: 'hy_v3',
  enable_attention_fp32_softmax: true,
  enable_lm_head_fp32: true,
  enable_moe_fp32_combine: true,
  expert_hidden_dim: 1536,
  first_k_dense_replace: 1,
  head_dim: 128,
  hidden_size: 4096,
  intermediate_size: 13_312,
  max_position_embeddings: 262_144,
  moe_intermediate_size: 1536,
  moe_router_enable_expert_bias: true,
  moe_router_use_sigmoid: true,
  num_attention_heads: 64,
  num_experts: 192,
  num_experts_per_tok: 8,
  num_hidden_layers: LAYERS,
  num_key_value_heads: 8,
  num_nextn_predict_layers: 1,
  num_shared_experts: 1,
  output_router_logits: true,
  qk_norm: true,
  rms_norm_eps: 1e-5,
  ...rope(11_158_840),
  route_norm: true,
  router_scaling_factor: 2.826,
  tie_word_embeddings: false,
  use_grouped_mm: false,
  vocab_size: 120_832,
};

/** As readers of Mellum2-12B-A2.5B's config.json quote it. */
const MELLUM2 = {
  ...ALL,
  model_type: 'mellum',
  attention_bias: false,
  bos_token_id: 0,
  dtype: 'bfloat16',
  eos_token_id: 28,
  head_dim: 128,
  hidden_size: 2304,
  intermediate_size: 7168,
  layer_types: inFours('sliding_attention', 'full_attention', 3),
  max_position_embeddings: 131_072,
  max_window_layers: 0,
  mlp_layer_types: Array.from({ length: LAYERS }, () => 'sparse'),
  moe_intermediate_size: 896,
  norm_topk_prob: true,
  num_attention_heads: 32,
  num_experts: 64,
  num_experts_per_tok: 8,
  num_hidden_layers: LAYERS,
  num_key_value_heads: 4,
  output_router_logits: false,
  rms_norm_eps: 1e-6,
  rope_parameters: {
    full_attention: {
      attention_factor: 1.2772588722239782,
      beta_fast: 32,
      beta_slow: 1,
      factor: 16,
      original_max_position_embeddings: 8192,
      rope_theta: 500_000,
      rope_type: 'yarn',
    },
    sliding_attention: { rope_theta: 500_000, rope_type: 'default' },
  },
  router_aux_loss_coef: 0.001,
  sliding_window: 1024,
  tie_word_embeddings: false,
  use_sliding_window: true,
  vocab_size: 98_304,
};

/** As readers of North-Mini-Code-1.0's config.json quote it. */
const NORTH = {
  ...ALL,
  model_type: 'cohere2_moe',
  expert_selection_fn: 'sigmoid',
  first_k_dense_replace: 1,
  head_dim: 128,
  hidden_size: 2048,
  intermediate_size: 768,
  layer_norm_eps: 1e-5,
  layer_types: inFours('sliding_attention', 'full_attention', 0),
  logit_scale: 1,
  max_position_embeddings: 500_000,
  norm_topk_prob: false,
  num_attention_heads: 32,
  num_experts: 128,
  num_experts_per_tok: 8,
  num_hidden_layers: LAYERS,
  num_key_value_heads: 4,
  num_shared_experts: 0,
  prefix_dense_intermediate_size: 3072,
  prefix_dense_sliding_window_pattern: 1,
  rms_norm_eps: 1e-6,
  rope_theta: 50_000,
  sliding_window: 4096,
  tie_word_embeddings: null,
  use_parallel_block: true,
  use_qk_norm: false,
  vocab_size: 262_144,
};
/** The text of command-a-plus-05-2026, as a reader of its config.json wants it. */
const COMMAND_A_PLUS = {
  ...NORTH,
  attention_bias: false,
  eos_token_id: 255_001,
  first_k_dense_replace: 0,
  hidden_size: 4096,
  intermediate_size: 4096,
  layer_types: inFours('sliding_attention', 'full_attention', 3),
  logit_scale: 0.0625,
  max_position_embeddings: 200_000,
  norm_topk_prob: true,
  num_attention_heads: 128,
  num_key_value_heads: 8,
  num_shared_experts: 4,
  position_embedding_type: 'rope_gptj',
  prefix_dense_intermediate_size: null,
  rms_norm_eps: null,
  rope_parameters: { rope_theta: 50_000, rope_type: 'default' },
  rotary_pct: 1,
  shared_expert_combination_strategy: 'average',
  tie_word_embeddings: true,
};

const YARN = { beta_slow: 1, original_max_position_embeddings: 8192, rope_theta: 500_000, rope_type: 'yarn' };
/** As readers of Laguna-XS-2.1's config.json quote it. */
const LAGUNA_XS = {
  ...ALL,
  model_type: 'laguna',
  attention_bias: false,
  decoder_sparse_step: 1,
  eos_token_id: [2, 24],
  gating: 'per-head',
  head_dim: 128,
  hidden_size: 2048,
  intermediate_size: 8192,
  layer_types: inFours('sliding_attention', 'full_attention', 0),
  max_position_embeddings: 262_144,
  mlp_layer_types: SPARSE,
  mlp_only_layers: [0],
  moe_apply_router_weight_on_input: false,
  moe_intermediate_size: 512,
  moe_routed_scaling_factor: 2.5,
  moe_router_logit_softcapping: 0,
  norm_topk_prob: true,
  num_attention_heads: 48,
  num_attention_heads_per_layer: inFours(64, 48, 0),
  num_experts: 256,
  num_experts_per_tok: 8,
  num_hidden_layers: LAYERS,
  num_key_value_heads: 8,
  partial_rotary_factor: 0.5,
  qkv_bias: false,
  rms_norm_eps: 1e-6,
  rope_parameters: {
    full_attention: {
      ...{ ...YARN, attention_factor: 1.3465735902799727, beta_fast: 64, factor: 32 },
      partial_rotary_factor: 0.5,
    },
    sliding_attention: { partial_rotary_factor: 1, rope_theta: 10_000, rope_type: 'default' },
  },
  router_aux_loss_coef: 0,
  shared_expert_intermediate_size: 512,
  sliding_window: 512,
  tie_word_embeddings: false,
  vocab_size: 100_352,
};
/** The same of Laguna-S-2.1, by a report that read it. */
const LAGUNA_S = {
  ...LAGUNA_XS,
  gating_types: Array.from({ length: LAYERS }, () => 'per_head'),
  hidden_size: 3072,
  intermediate_size: 12_288,
  max_position_embeddings: 1_048_576,
  moe_intermediate_size: 1024,
  num_attention_heads_per_layer: inFours(72, 48, 0),
  num_experts_per_tok: 10,
  rope_parameters: {
    ...LAGUNA_XS.rope_parameters,
    full_attention: {
      ...{ ...YARN, attention_factor: 1.4852030263919618, beta_fast: 32, factor: 128 },
      partial_rotary_factor: 0.5,
    },
  },
  shared_expert_intermediate_size: 1024,
};

const PUBLISHED: Readonly<Record<string, Dict>> = {
  'K-EXAONE-236B-A23B, as first published': K_EXAONE,
  'K-EXAONE-236B-A23B': K_EXAONE_LATER,
  Hy3: HY3,
  'Mellum2-12B-A2.5B': MELLUM2,
  'North-Mini-Code-1.0': NORTH,
  'command-a-plus-05-2026, its text': COMMAND_A_PLUS,
  'Laguna-XS-2.1': LAGUNA_XS,
  'Laguna-S-2.1': LAGUNA_S,
};

const REFUSED: ReadonlyArray<readonly [what: string, dict: Dict, names: RegExp]> = [
  [
    'two lists of layers with experts',
    { ...K_EXAONE, is_moe_layer: [true, true, true, true, true] },
    /is_moe_layer must be \[false, true, true, true, true\], as mlp_layer_types or first_k_dense_replace says/,
  ],
  [
    'other scores than sigmoids',
    { ...K_EXAONE, scoring_func: 'softmax' },
    /scoring_func must be sigmoid: .*, found "softmax"/,
  ],
  [
    'two widths of experts',
    { ...HY3, expert_hidden_dim: 768 },
    /moe_intermediate_size and expert_hidden_dim contradict each other: 1536 and 768/,
  ],
  [
    'a choice without correction',
    { ...HY3, moe_router_enable_expert_bias: false },
    /moe_router_enable_expert_bias must be true: .*, found false/,
  ],
  [
    'kinds of too few layers',
    { ...MELLUM2, mlp_layer_types: ['sparse'] },
    /mlp_layer_types must have one entry for each of the 5 layers, found 1/,
  ],
  [
    'rotary embeddings of layers that there are not',
    { ...MELLUM2, rope_parameters: { chunked_attention: { rope_type: 'default' } } },
    /chunked_attention: this family has a RoPE for each of full_attention and sliding_attention/,
  ],
  ['norms of queries and keys', { ...NORTH, use_qk_norm: true }, /use_qk_norm must be false: .*, found true/],
  [
    'other shared experts',
    { ...COMMAND_A_PLUS, shared_expert_combination_strategy: 'concat' },
    /shared_expert_combination_strategy must be one of average, sum, found "concat"/,
  ],
  [
    'attention without gates',
    { ...LAGUNA_XS, gating: false },
    /gating must be true or one of per-head, per-element/,
  ],
  [
    'heads of too few layers',
    { ...LAGUNA_XS, num_attention_heads_per_layer: [48] },
    /num_attention_heads_per_layer must have one entry for each of the 5 layers, found 1/,
  ],
  [
    'heads that do not share keys evenly',
    { ...LAGUNA_XS, num_attention_heads_per_layer: inFours(60, 48, 0) },
    /num_attention_heads_per_layer must be multiples of num_key_value_heads \(8\), found 60/,
  ],
  [
    'two lists of layers without experts',
    { ...LAGUNA_XS, mlp_only_layers: [0, 1] },
    /mlp_only_layers must be \[0\], the layers that mlp_layer_types calls dense/,
  ],
  [
    'bounded logits of routers',
    { ...LAGUNA_XS, moe_router_logit_softcapping: 30 },
    /moe_router_logit_softcapping must be 0: .*, found 30/,
  ],
  [
    'no rotary embedding',
    { ...LAGUNA_XS, rope_parameters: null },
    /rope_parameters is missing: the one that LagunaConfig takes in its place is not built/,
  ],
];

describe('published configurations of recent mixtures of experts', function () {
  this.timeout(60_000);
  before(() => loadModels());
  for (const [name, dict] of Object.entries(PUBLISHED)) itIsRead(name, dict);
  for (const [what, dict, names] of REFUSED) itIsRefused(what, dict, names);
});
