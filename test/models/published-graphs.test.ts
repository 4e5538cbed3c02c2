import { expect } from 'chai';
import { PREFILL } from '../../src/graph/graph-kind.js';
import { loadModels } from '../../src/models/get-model.js';
import { declaredWeights } from '../../src/weights/weights.js';
import { type Dict, itIsRead, itIsRefused, problemsOf, routerOf } from './published-checks.js';

const GEMMA = {
  model_type: 'gemma',
  head_dim: 256,
  hidden_act: 'gelu',
  hidden_activation: null,
  hidden_size: 3072,
  intermediate_size: 24_576,
  max_position_embeddings: 8192,
  num_attention_heads: 16,
  num_hidden_layers: 28,
  num_key_value_heads: 16,
  vocab_size: 256_000,
};
const GEMMA3 = {
  model_type: 'gemma3_text',
  attn_logit_softcapping: null,
  cache_implementation: 'hybrid',
  final_logit_softcapping: null,
  head_dim: 256,
  hidden_activation: 'gelu_pytorch_tanh',
  hidden_size: 1152,
  intermediate_size: 6912,
  max_position_embeddings: 32_768,
  num_attention_heads: 4,
  num_hidden_layers: 26,
  num_key_value_heads: 1,
  query_pre_attn_scalar: 256,
  rope_local_base_freq: 10_000,
  rope_theta: 1_000_000,
  sliding_window: 512,
  sliding_window_pattern: 6,
  vocab_size: 262_144,
};
const GPT2 = {
  model_type: 'gpt2',
  activation_function: 'gelu_new',
  n_ctx: 1024,
  n_embd: 1280,
  n_head: 20,
  n_layer: 36,
  n_positions: 1024,
  summary_type: 'cls_index',
  vocab_size: 50_257,
};
const GPT_BIGCODE = {
  model_type: 'gpt_bigcode',
  activation_function: 'gelu',
  attention_softmax_in_fp32: true,
  multi_query: true,
  n_embd: 6144,
  n_head: 48,
  n_inner: 24_576,
  n_layer: 40,
  n_positions: 8192,
  scale_attn_weights: true,
  vocab_size: 49_153,
};
const GPT_NEOX = {
  model_type: 'gpt_neox',
  attention_bias: true,
  hidden_act: 'gelu',
  hidden_size: 4096,
  intermediate_size: 16_384,
  max_position_embeddings: 2048,
  num_attention_heads: 32,
  num_hidden_layers: 32,
  rotary_emb_base: 10_000,
  rotary_pct: 0.25,
  use_parallel_residual: true,
  vocab_size: 50_432,
};
const PHI = {
  model_type: 'phi',
  attention_bias: false,
  hidden_act: 'gelu_new',
  hidden_size: 2048,
  intermediate_size: 8192,
  max_position_embeddings: 2048,
  num_attention_heads: 32,
  num_hidden_layers: 24,
  num_key_value_heads: 32,
  partial_rotary_factor: 0.5,
  qk_layernorm: false,
  rotary_dim: 32,
  vocab_size: 50_295,
};
const OPT = {
  model_type: 'opt',
  activation_function: 'relu',
  do_layer_norm_before: true,
  ffn_dim: 8192,
  hidden_size: 2048,
  max_position_embeddings: 2048,
  num_attention_heads: 32,
  num_hidden_layers: 24,
  vocab_size: 50_272,
  word_embed_proj_dim: 2048,
};
/** What 350m says otherwise. */
const OPT_350M = {
  _remove_final_layer_norm: false,
  do_layer_norm_before: false,
  ffn_dim: 4096,
  hidden_size: 1024,
  num_attention_heads: 16,
  word_embed_proj_dim: 512,
};
const FALCON = {
  model_type: 'falcon',
  alibi: false,
  apply_residual_connection_post_layernorm: false,
  bias: false,
  hidden_size: 8192,
  multi_query: true,
  n_head: 128,
  n_layer: 60,
  new_decoder_architecture: true,
  num_attention_heads: 128,
  num_hidden_layers: 60,
  num_kv_heads: 8,
  parallel_attn: true,
  vocab_size: 65_024,
};
/** What 7B says otherwise. */
const FALCON_7B = {
  n_head: 71,
  num_attention_heads: 71,
  hidden_size: 4544,
  new_decoder_architecture: false,
  num_kv_heads: null,
};

const PUBLISHED: Readonly<Record<string, Dict>> = {
  'gemma-7b-it': GEMMA,
  'gemma-3-1b-it': GEMMA3,
  'gpt2-large': GPT2,
  WizardCoder: GPT_BIGCODE,
  pythia: GPT_NEOX,
  'phi-1': PHI,
  'opt-1.3b': OPT,
  'opt-350m': { ...OPT, ...OPT_350M },
  'falcon-40b': FALCON,
  'falcon-7b': { ...FALCON, ...FALCON_7B },
};

const REFUSED: ReadonlyArray<readonly [what: string, dict: Dict, names: RegExp]> = [
  [
    'sequential steps of the new architecture',
    { ...FALCON, parallel_attn: false },
    /parallel_attn must be true: .*, found false/,
  ],
  [
    'two norms of the old one',
    { ...FALCON, ...FALCON_7B, num_ln_in_parallel_attn: 2 },
    /num_ln_in_parallel_attn must be 1: .*, found 2/,
  ],
  [
    'heads that key heads do not divide',
    { ...FALCON, num_kv_heads: 7 },
    /num_attention_heads \(128\) must be a multiple of num_kv_heads \(7\)/,
  ],
  [
    'norms without weights',
    { ...OPT, layer_norm_elementwise_affine: false },
    /layer_norm_elementwise_affine must be true: .*, found false/,
  ],
  [
    'a tied head with a bias',
    { ...PHI, tie_word_embeddings: true },
    /tie_word_embeddings must be false: .*, found true/,
  ],
  ['contradictory rotary sizes', { ...PHI, rotary_dim: 64 }, /rotary_dim must be 32: .*, found 64/],
  [
    'attention to a second sequence',
    { ...GPT2, add_cross_attention: true },
    /add_cross_attention must be false: .*, found true/,
  ],
  [
    'bounded scores',
    { ...GEMMA3, attn_logit_softcapping: 50 },
    /attn_logit_softcapping: bounds .*, found 50/,
  ],
  [
    'bounded logits',
    { ...GEMMA3, final_logit_softcapping: 30 },
    /final_logit_softcapping: bounds .*, found 30/,
  ],
  [
    'attention to what follows',
    { ...GEMMA, use_bidirectional_attention: true },
    /use_bidirectional_attention: .*, found true/,
  ],
];

/** By how much Gemma multiplies its embeddings. */
function embeddingScale(dtype: 'bf16' | 'f32'): unknown {
  const spec = routerOf(GEMMA).createModel(declaredWeights(dtype)).buildGraph(PREFILL);
  const [, node] = spec.nodes;
  return node && 'type' in node.op ? node.op.param : undefined;
}

describe('published configurations', () => {
  before(() => loadModels());

  for (const [name, dict] of Object.entries(PUBLISHED)) itIsRead(name, dict);
  for (const [what, dict, names] of REFUSED) itIsRefused(what, dict, names);

  it('give Gemma a scale of embeddings that is a number of the run’s dtype', () => {
    expect(embeddingScale('bf16')).to.deep.include({ mulsParam: { varAttr: 55.5 } });
    expect(embeddingScale('f32')).to.deep.include({ mulsParam: { varAttr: Math.fround(Math.sqrt(3072)) } });
  });

  it('read two spellings of GPT-2’s sizes, which must agree', () => {
    const { n_embd: _, ...others } = GPT2;
    expect(routerOf({ ...others, hidden_size: 1280 }).config.hiddenSize).to.equal(1280);
    expect(problemsOf({ ...GPT2, hidden_size: 640 })).to.match(
      /hidden_size and n_embd contradict each other/,
    );
  });
});
