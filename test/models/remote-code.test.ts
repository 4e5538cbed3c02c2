import { expect } from 'chai';
import type { BaseConfig } from '../../src/layers/config/index.js';
import { loadModels } from '../../src/models/get-model.js';
import { type PlanOptions, planModel } from '../../src/runner/open-model.js';
import { type Dict, itIsRead, itIsRefused, routerOf } from './published-checks.js';

const CHATGLM3 = {
  model_type: 'chatglm',
  add_bias_linear: false,
  add_qkv_bias: true,
  apply_query_key_layer_scaling: true,
  apply_residual_connection_post_layernorm: false,
  attention_softmax_in_fp32: true,
  bias_dropout_fusion: true,
  ffn_hidden_size: 13_696,
  fp32_residual_connection: false,
  hidden_size: 4096,
  kv_channels: 128,
  layernorm_epsilon: 1e-5,
  multi_query_attention: true,
  multi_query_group_num: 2,
  num_attention_heads: 32,
  num_layers: 28,
  original_rope: true,
  padded_vocab_size: 65_024,
  post_layer_norm: true,
  rmsnorm: true,
  seq_length: 8192,
  eos_token_id: 2,
};
const GLM4_9B = {
  ...CHATGLM3,
  layernorm_epsilon: 1.5625e-7,
  num_hidden_layers: 40,
  num_layers: 40,
  padded_vocab_size: 151_552,
  rope_ratio: 500,
  seq_length: 131_072,
  eos_token_id: [151_329, 151_336, 151_338],
};
const TELECHAT_7B = {
  model_type: 'telechat',
  apply_residual_connection_post_layernorm: false,
  attention_softmax_in_fp32: true,
  bias_dropout_fusion: true,
  embed_layernorm: false,
  ffn_hidden_size: 12_288,
  flash_attn: true,
  hidden_size: 4096,
  layer_norm_epsilon: 1e-5,
  masked_softmax_fusion: true,
  n_head: 32,
  n_inner: null,
  n_layer: 30,
  seq_length: 8192,
  skip_bias_add: true,
  skip_bias_add_qkv: false,
  slow_but_exact: false,
  training_seqlen: 8192,
  vocab_size: 160_256,
};
const TELECHAT_12B = {
  ...TELECHAT_7B,
  hidden_size: 5120,
  logn: false,
  n_layer: 38,
  offset_alibi: 100,
  semi_causal: false,
  tie_word_embeddings: false,
  vocab_size: 120_000,
};
const TELECHAT2_115B = {
  ...TELECHAT_7B,
  base_seqlen: 8192,
  ffn_hidden_size: 40_960,
  hidden_size: 8192,
  n_head: 64,
  n_layer: 96,
  num_key_value_heads: 8,
  tie_word_embeddings: false,
  vocab_size: 131_072,
};
const factors = Array.from({ length: 64 }, (_, i) => 1 + i / 2);
const MINICPM4 = {
  model_type: 'minicpm',
  dim_model_base: 256,
  eos_token_id: [2, 73_440],
  hidden_act: 'silu',
  hidden_size: 4096,
  intermediate_size: 16_384,
  max_position_embeddings: 32_768,
  mup_denominator: 32,
  num_attention_heads: 32,
  num_hidden_layers: 32,
  num_key_value_heads: 2,
  rms_norm_eps: 1e-6,
  rope_scaling: {
    rope_type: 'longrope',
    long_factor: factors,
    short_factor: factors,
    original_max_position_embeddings: 32_768,
  },
  rope_theta: 10_000,
  scale_depth: 1.4,
  scale_emb: 12,
  tie_word_embeddings: false,
  vocab_size: 73_448,
};
const QWEN_7B = {
  model_type: 'qwen',
  attn_dropout_prob: 0,
  bf16: false,
  emb_dropout_prob: 0,
  fp16: false,
  fp32: false,
  hidden_size: 4096,
  intermediate_size: 22_016,
  kv_channels: 128,
  layer_norm_epsilon: 1e-6,
  max_position_embeddings: 32_768,
  no_bias: true,
  num_attention_heads: 32,
  num_hidden_layers: 32,
  onnx_safe: null,
  rotary_emb_base: 10_000,
  rotary_pct: 1,
  scale_attn_weights: true,
  seq_length: 8192,
  tie_word_embeddings: false,
  use_dynamic_ntk: true,
  use_flash_attn: 'auto',
  use_logn_attn: true,
  vocab_size: 151_936,
};
const INTERNLM2_7B = {
  model_type: 'internlm2',
  attn_implementation: 'eager',
  bias: false,
  hidden_act: 'silu',
  hidden_size: 4096,
  intermediate_size: 14_336,
  max_position_embeddings: 32_768,
  num_attention_heads: 32,
  num_hidden_layers: 32,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-5,
  rope_scaling: { type: 'dynamic', factor: 2 },
  rope_theta: 1_000_000,
  tie_word_embeddings: false,
  vocab_size: 92_544,
};
const INTERNLM3_8B = {
  ...INTERNLM2_7B,
  model_type: 'internlm3',
  head_dim: 128,
  intermediate_size: 10_240,
  num_hidden_layers: 48,
  num_key_value_heads: 2,
  qkv_bias: false,
  rope_scaling: { rope_type: 'dynamic', factor: 6 },
  rope_theta: 50_000_000,
  vocab_size: 128_512,
};
const INTERNLM_7B = {
  model_type: 'internlm',
  bias: true,
  hidden_act: 'silu',
  hidden_size: 4096,
  intermediate_size: 11_008,
  max_position_embeddings: 2048,
  num_attention_heads: 32,
  num_hidden_layers: 32,
  rms_norm_eps: 1e-6,
  rotary: { base: 10_000, type: 'dynamic' },
  tie_word_embeddings: false,
  vocab_size: 103_168,
};

const PUBLISHED: Readonly<Record<string, Dict>> = {
  'chatglm3-6b': CHATGLM3,
  'glm-4-9b-chat': GLM4_9B,
  'TeleChat-7B': TELECHAT_7B,
  'TeleChat-12B': TELECHAT_12B,
  'TeleChat2-115B': TELECHAT2_115B,
  MiniCPM4: MINICPM4,
  'Qwen-7B-Chat': QWEN_7B,
  'internlm2-chat-7b': INTERNLM2_7B,
  'internlm3-8b-instruct': INTERNLM3_8B,
  'internlm-7b': INTERNLM_7B,
};

const REFUSED: ReadonlyArray<readonly [what: string, dict: Dict, names: RegExp]> = [
  [
    'residuals of normed inputs',
    { ...CHATGLM3, apply_residual_connection_post_layernorm: true },
    /apply_residual_connection_post_layernorm: orders the steps .*, found true/,
  ],
  [
    'a model without its last norm',
    { ...CHATGLM3, post_layer_norm: false },
    /post_layer_norm: orders the steps .*, found false/,
  ],
  ['a tuned prefix', { ...CHATGLM3, pre_seq_len: 128 }, /pre_seq_len: adds a tuned prefix.*, found 128/],
  [
    'the first ChatGLM',
    { ...CHATGLM3, position_encoding_2d: true },
    /position_encoding_2d: turns queries .*, found true/,
  ],
  [
    'heads that key heads do not divide',
    { ...CHATGLM3, multi_query_group_num: 3 },
    /num_attention_heads \(32\) must be a multiple of multi_query_group_num \(3\)/,
  ],
  [
    'a norm of embeddings',
    { ...TELECHAT_7B, embed_layernorm: true },
    /embed_layernorm: adds a norm .*, found true/,
  ],
  [
    'prompts whose tokens all see each other',
    { ...TELECHAT_12B, semi_causal: true },
    /semi_causal: says which keys .*, found true/,
  ],
  ['experts', { ...MINICPM4, num_experts: 8 }, /num_experts: makes experts of the MLPs.*, found 8/],
  [
    'a part of heads that turns',
    { ...QWEN_7B, rotary_pct: 0.5 },
    /partial_rotary_factor other than 1 is not supported .*, found 0.5/,
  ],
  [
    'scores without a scale',
    { ...QWEN_7B, scale_attn_weights: false },
    /scale_attn_weights must be true: .*, found false/,
  ],
];

/** The configuration as it runs, with a context of so many tokens. */
const planned = (dict: Dict, options: PlanOptions): BaseConfig => planModel(routerOf(dict), options).config;

describe('published configurations of families of remote code', () => {
  before(() => loadModels());

  for (const [name, dict] of Object.entries(PUBLISHED)) itIsRead(name, dict);
  for (const [what, dict, names] of REFUSED) itIsRefused(what, dict, names);

  it('stretch the frequencies of TeleChat-7B alone for the length of training', () => {
    expect(routerOf(TELECHAT_7B).config.rope?.theta).to.be.closeTo(10_000 * 3 ** (128 / 126), 1e-8);
    expect(routerOf(TELECHAT_12B).config.rope?.theta).to.equal(10_000);
    expect(routerOf(TELECHAT2_115B).config.rope?.theta).to.equal(10_000);
    expect(routerOf({ ...TELECHAT2_115B, base_seqlen: 2048 }).config.rope?.theta).to.be.closeTo(
      10_000 * 7 ** (128 / 126),
      1e-8,
    );
  });

  it('run no longer context than what is built of them reaches', () => {
    expect(routerOf(QWEN_7B).config.maxPositionEmbeddings).to.equal(8192);
    expect(planned(QWEN_7B, { maxPositionEmbeddings: 4096 }).maxPositionEmbeddings).to.equal(4096);
    expect(() => planned(QWEN_7B, { maxPositionEmbeddings: 8193 })).to.throw(
      /at most 8192, seq_length of config.json: what use_dynamic_ntk and use_logn_attn do beyond it is not built/,
    );
    const plain = { ...QWEN_7B, use_dynamic_ntk: false, use_logn_attn: false };
    expect(planned(plain, {}).maxPositionEmbeddings).to.equal(32_768);
    expect(routerOf({ ...TELECHAT_7B, seq_length: 32_768 }).config.maxPositionEmbeddings).to.equal(8192);
    expect(() => planned(TELECHAT_7B, { maxPositionEmbeddings: 8193 })).to.throw(
      /at most 8192, training_seqlen/,
    );
    expect(() => planned(INTERNLM_7B, { maxPositionEmbeddings: 2049 })).to.throw(
      /at most 2048, max_position_embeddings/,
    );
  });
});
