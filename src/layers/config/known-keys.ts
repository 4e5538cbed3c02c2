import { describeValue } from '../../describe-value.js';
import { sameMeaning } from './config-reader.js';
import { isDict } from './fields.js';

/** Keys of config.json that change no result of any family, by reason. */
const IRRELEVANT: Readonly<Record<string, readonly string[]>> = {
  'says who made the files, and with what': [
    'architectures',
    'model_type',
    '_name_or_path',
    'name_or_path',
    '_commit_hash',
    '_from_model_config',
    'transformers_version',
    'auto_map',
    'custom_pipelines',
    'tokenizer_class',
  ],
  'is used in training alone': [
    'initializer_range',
    'init_std',
    'attention_dropout',
    'attention_probs_dropout_prob',
    'attn_pdrop',
    'activation_dropout',
    'classifier_dropout',
    'dropout',
    'embd_pdrop',
    'embedding_dropout',
    'hidden_dropout',
    'hidden_dropout_prob',
    'layerdrop',
    'resid_pdrop',
    'residual_dropout',
    'gradient_checkpointing',
    'aux_loss_alpha',
    'seq_aux',
    'output_router_logits',
    'router_aux_loss_coef',
  ],
  'splits products as training did; their sum is the same up to rounding': ['pretraining_tp'],
  'says what a call returns, whether it keeps a cache, or which of its kernels another program takes': [
    'use_cache',
    'output_attentions',
    'output_hidden_states',
    'return_dict',
    'torchscript',
    'tf_legacy_loss',
    'use_bfloat16',
    'attn_implementation',
    '_attn_implementation',
    '_attn_implementation_autoset',
    'use_flash_attn',
    'chunk_size_feed_forward',
    'pruned_heads',
  ],
  'belongs to a head that classifies': [
    'id2label',
    'label2id',
    'num_labels',
    'problem_type',
    'finetuning_task',
    'task_specific_params',
  ],
  'is an option of generation, which is read from generation_config.json': [
    'bad_words_ids',
    'begin_suppress_tokens',
    'decoder_start_token_id',
    'diversity_penalty',
    'do_sample',
    'early_stopping',
    'encoder_no_repeat_ngram_size',
    'exponential_decay_length_penalty',
    'forced_bos_token_id',
    'forced_eos_token_id',
    'length_penalty',
    'max_length',
    'min_length',
    'no_repeat_ngram_size',
    'num_beam_groups',
    'num_beams',
    'num_return_sequences',
    'output_scores',
    'prefix',
    'remove_invalid_values',
    'repetition_penalty',
    'return_dict_in_generate',
    'sep_token_id',
    'suppress_tokens',
    'temperature',
    'top_k',
    'top_p',
    'typical_p',
    'unk_token_id',
  ],
  'belongs to models of two halves': ['tie_encoder_decoder', 'cross_attention_hidden_size'],
};
const irrelevant = new Set(Object.values(IRRELEVANT).flat());

/** What keys do in the families that have them, and the values with which they do nothing; null never does. */
const MEANINGS: ReadonlyArray<{
  readonly does: string;
  readonly keys: Readonly<Record<string, readonly unknown[]>>;
}> = [
  {
    does: 'bounds attention scores or logits',
    keys: {
      attn_logit_softcapping: [],
      final_logit_softcapping: [],
      attn_logit_cap: [],
      logits_soft_cap: [],
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
      mrope_section: [],
      no_rope_layer_interval: [0],
      no_rope_layers: [[]],
      original_rope: [true],
      partial_rotary_factor: [1],
      'rope_parameters.alpha': [],
      'rope_parameters.mrope_section': [],
      'rope_scaling.alpha': [],
      'rope_scaling.mrope_section': [],
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

/** `quantization` is how MLX calls it. */
const QUANTISED = ['quantization_config', 'compression_config', 'quantization'];

/** What an unread key is to a family that does not mention it: harmless, unknown, or a reason to refuse it. */
export type Verdict = 'harmless' | 'unknown' | { readonly refused: string };

export function judgeUnread(key: string, value: unknown): Verdict {
  if (irrelevant.has(key)) return 'harmless';
  if (QUANTISED.includes(key)) {
    const unnamed = key === 'quantization' ? 'MLX' : 'a method without a name';
    const method = describeValue(isDict(value) ? (value.quant_method ?? unnamed) : value);
    const wayOut = 'take the float checkpoint that it was made of, and quantise it at load with --quantize';
    return {
      refused: `the checkpoint is quantised by ${method} in a format that is not read; ${wayOut}`,
    };
  }
  const meaning = meanings.get(key);
  if (meaning === undefined) return 'unknown';
  if (isNeutral(key, value, meaning.neutral)) return 'harmless';
  return { refused: `${meaning.does}, and this family does not read it` };
}

const isNeutral = (key: string, value: unknown, neutral: readonly unknown[]): boolean =>
  key === 'layer_types' && Array.isArray(value)
    ? value.every((type) => type === 'full_attention')
    : neutral.some((one) => sameMeaning(one, value));
