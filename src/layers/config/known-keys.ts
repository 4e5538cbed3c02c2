import { describeValue } from '../../describe-value.js';
import { isObject } from '../../is-object.js';
import { QUANTISATION_KEYS, readMethods } from '../../weights/formats/index.js';
import { sameMeaning } from './config-reader.js';
import { IRRELEVANT_KEYS } from './irrelevant-keys.js';

/** What keys do in the families that have them, and the values with which they do nothing; null never does. */
const MEANINGS: ReadonlyArray<{
  readonly does: string;
  readonly keys: Readonly<Record<string, readonly unknown[]>>;
}> = [
  {
    does: 'bounds projections, attention scores or logits',
    keys: {
      attn_logit_softcapping: [],
      final_logit_softcapping: [],
      attn_logit_cap: [],
      logits_soft_cap: [],
      clip_qkv: [],
    },
  },
  {
    does: 'scales embeddings, residuals, attention or logits',
    keys: {
      attention_multiplier: [],
      dim_model_base: [],
      embedding_multiplier: [1],
      logit_scale: [1],
      logits_scaling: [1],
      query_pre_attn_scalar: [],
      residual_multiplier: [1],
      scale_attn_by_inverse_layer_idx: [false],
      scale_depth: [],
      scale_emb: [1],
    },
  },
  {
    does: 'normalises queries and keys',
    keys: { qk_layernorm: [false], qk_norm: [false], use_qk_layernorm: [false], use_qk_norm: [false] },
  },
  {
    does: 'is the epsilon of norms',
    keys: {
      layer_norm_eps: [],
      layer_norm_epsilon: [],
      layernorm_epsilon: [],
      norm_eps: [],
      norm_epsilon: [],
      rms_norm_eps: [],
    },
  },
  {
    does: 'adds biases to projections',
    keys: {
      add_bias_linear: [false],
      add_qkv_bias: [false],
      attention_bias: [false],
      attention_out_bias: [false],
      bias: [false],
      mlp_bias: [false],
      qkv_bias: [false],
      use_bias: [false],
      use_qkv_bias: [false],
    },
  },
  {
    does: 'turns queries and keys by position in another way',
    keys: {
      position_encoding_2d: [false],
      mrope_section: [],
      no_rope_layer_interval: [0],
      no_rope_layers: [[]],
      original_rope: [true],
      partial_rotary_factor: [1],
      'rope_parameters.alpha': [],
      'rope_parameters.mrope_section': [],
      'rope_scaling.alpha': [],
      'rope_scaling.mrope_section': [],
      'rope_parameters.xdrope_section': [],
      'rope_scaling.xdrope_section': [],
      rope_interleave: [false],
      rope_interleaved: [false],
      rope_local_base_freq: [],
      rope_parameters: [],
      rope_ratio: [1],
      rope_scaling: [],
      rope_theta: [],
      rotary_dim: [],
      rotary_emb_base: [],
      rotary_pct: [1],
      use_dynamic_ntk: [false],
      use_logn_attn: [false],
      use_mrope: [false],
    },
  },
  {
    does: 'adds positions to scores or embeddings',
    keys: { alibi: [false], position_embedding_type: ['rope', 'rotary'], type_vocab_size: [0] },
  },
  {
    does: 'says which keys a query sees',
    keys: {
      semi_causal: [false],
      sparse_config: [],
      attention_chunk_size: [],
      is_causal: [true],
      layer_types: [],
      max_window_layers: [],
      sliding_window: [],
      sliding_window_pattern: [1],
      sliding_window_size: [],
      use_bidirectional_attention: [false],
      use_sliding_window: [false],
      window_size: [],
    },
  },
  {
    does: 'makes experts of the MLPs',
    keys: {
      decoder_sparse_step: [],
      first_k_dense_replace: [],
      mlp_only_layers: [[]],
      moe_intermediate_size: [],
      moe_k: [],
      moe_num_experts: [0],
      moe_topk: [],
      n_routed_experts: [0],
      n_shared_experts: [0],
      num_experts: [0],
      num_experts_per_tok: [0],
      num_local_experts: [0],
      shared_expert_intermediate_size: [0],
    },
  },
  {
    does: 'shapes queries, keys and values in another way',
    keys: {
      cla_share_factor: [1],
      head_dim: [],
      kv_channels: [],
      kv_lora_rank: [],
      linear_num_key_heads: [],
      multi_query: [false],
      multi_query_attention: [false],
      multi_query_group_num: [],
      new_decoder_architecture: [false],
      num_key_value_heads: [],
      num_kv_heads: [],
      num_kv_shared_layers: [0],
      q_lora_rank: [],
      qk_nope_head_dim: [],
      qk_rope_head_dim: [],
      use_cla: [false],
      use_mla: [false],
      v_head_dim: [],
    },
  },
  {
    does: 'orders the steps of a layer in another way',
    keys: {
      post_layer_norm: [true],
      apply_residual_connection_post_layernorm: [false],
      parallel_attn: [false],
      use_parallel_residual: [false],
    },
  },
  {
    does: 'is the activation of the MLPs',
    keys: {
      activation_function: [],
      hidden_act: [],
      hidden_activation: [],
      swiglu_alpha: [],
      swiglu_limit: [],
    },
  },
  { does: 'adds a norm behind the embedding', keys: { embed_layernorm: [false] } },
  { does: 'adds a tuned prefix', keys: { pre_seq_len: [0], prefix_projection: [false] } },
  { does: 'quantises the weights at load', keys: { quantization_bit: [0] } },
  { does: 'adds an encoder', keys: { add_cross_attention: [false], is_encoder_decoder: [false] } },
  { does: 'makes a decoder of an encoder', keys: { is_decoder: [false] } },
  {
    does: 'adds pictures, sound or a model within the model',
    keys: { audio_config: [], text_config: [], vision_config: [] },
  },
];
const meanings = new Map(
  MEANINGS.flatMap(({ does, keys }) =>
    Object.entries(keys).map(([key, neutral]) => [key, { does, neutral }]),
  ),
);

/** What an unread key is to a family that does not mention it: harmless, unknown, or a reason to refuse it. */
export type Verdict = 'harmless' | 'unknown' | { readonly refused: string };

export function judgeUnread(key: string, value: unknown): Verdict {
  if (IRRELEVANT_KEYS.has(key)) return 'harmless';
  if (QUANTISATION_KEYS.some((known) => known === key)) return judgeQuantisation(key, value);
  const meaning = meanings.get(key);
  if (meaning === undefined) return 'unknown';
  if (isNeutral(key, value, meaning.neutral)) return 'harmless';
  return { refused: `${meaning.does}, and this family does not read it` };
}

/** Of methods that are read, which linears they quantised and how is judged where the weights are opened. */
function judgeQuantisation(key: string, value: unknown): Verdict {
  const method = isObject(value) ? value.quant_method : value;
  const methods = readMethods();
  if (methods.some((known) => known === method)) return 'harmless';
  const unnamed = key === 'quantization' ? 'MLX' : 'a method without a name';
  const found = describeValue(method ?? unnamed);
  const wayOut = 'take the float checkpoint that it was made of, and quantise it at load with --quantize';
  const read = `What is read: ${methods.join(', ')}`;
  return {
    refused: `the checkpoint is quantised by ${found} in a format that is not read; ${wayOut}. ${read}`,
  };
}

const isNeutral = (key: string, value: unknown, neutral: readonly unknown[]): boolean =>
  key === 'layer_types' && Array.isArray(value)
    ? value.every((type) => type === 'full_attention')
    : neutral.some((one) => sameMeaning(one, value));
