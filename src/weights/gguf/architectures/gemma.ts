import {
  type GgufArchitecture,
  HEAD_NORMS,
  LLAMA,
  OUTER,
  SANDWICH,
  toldWindowTypes,
  windowTypes,
} from '../architecture.js';
import type { GgufNumbers } from '../numbers.js';

/**
 * What Gemma 2 and 3 have alike. `largest`: layers of the model whose queries are scaled by another size, as llama.cpp and
 * Google's code have it.
 */
const gemma = (numbers: GgufNumbers, largest: number) => ({
  hidden_activation: 'gelu_pytorch_tanh',
  final_logit_softcapping: numbers.optional('final_logit_softcapping') ?? null,
  query_pre_attn_scalar:
    numbers.number('block_count') === largest
      ? numbers.number('embedding_length') / numbers.number('attention.head_count')
      : numbers.number('attention.key_length'),
});

/** Inputs of each layer's own. */
const PER_LAYER = {
  inp_gate: 'per_layer_input_gate',
  proj: 'per_layer_projection',
  post_norm: 'post_per_layer_input_norm',
};
const PER_LAYER_OUTER = {
  per_layer_token_embd: 'model.embed_tokens_per_layer',
  per_layer_model_proj: 'model.per_layer_model_projection',
  per_layer_proj_norm: 'model.per_layer_projection_norm',
};

/** What differs by layers in Gemma 4: those that see all have heads of another size, and may have no values. */
function gemma4(numbers: GgufNumbers) {
  const types: readonly string[] = toldWindowTypes(numbers, 6);
  const [sliding, full] = ['sliding_attention', 'full_attention'].map((type) => types.indexOf(type));
  const ofLayer = (key: string, layer = 0) =>
    Number(numbers.perLayer(key)?.[layer] ?? numbers.optional(key) ?? 0);
  const [width, last] = [0, numbers.layers - 1].map((layer) => ofLayer('feed_forward_length', layer));
  const hasExperts = (numbers.optional('expert_count') ?? 0) > 0;
  const perLayer = numbers.optional('embedding_length_per_layer_input') ?? 0;
  return {
    hidden_activation: 'gelu_pytorch_tanh',
    final_logit_softcapping: numbers.optional('final_logit_softcapping') ?? null,
    sliding_window: numbers.number('attention.sliding_window'),
    layer_types: types,
    head_dim: numbers.number('attention.key_length_swa'),
    global_head_dim: numbers.number('attention.key_length'),
    num_key_value_heads: ofLayer('attention.head_count_kv', sliding),
    num_global_key_value_heads: ofLayer('attention.head_count_kv', full),
    attention_k_eq_v: !numbers.has(`blk.${full}.attn_v.weight`),
    intermediate_size: width,
    use_double_wide_mlp: last !== width,
    num_kv_shared_layers: numbers.optional('attention.shared_kv_layers') ?? 0,
    hidden_size_per_layer_input: perLayer,
    ...(perLayer > 0 && { vocab_size_per_layer_input: numbers.rows('per_layer_token_embd.weight') }),
    enable_moe_block: hasExperts,
    ...(hasExperts && {
      num_experts: numbers.number('expert_count'),
      top_k_experts: numbers.number('expert_used_count'),
      moe_intermediate_size: numbers.number('expert_feed_forward_length'),
    }),
    rope_parameters: {
      sliding_attention: { rope_type: 'default', rope_theta: numbers.number('rope.freq_base_swa') },
      // A quarter of a head turns: files have factors that hardly turn the rest, `rope_freqs`.
      full_attention: {
        rope_type: 'proportional',
        partial_rotary_factor: 0.25,
        rope_theta: numbers.number('rope.freq_base'),
      },
    },
    ...{ rope_theta: undefined, rope_scaling: undefined, original_max_position_embeddings: undefined },
  };
}

export const GEMMAS: Readonly<Record<string, GgufArchitecture>> = {
  gemma: {
    modelType: 'gemma',
    architectures: 'GemmaForCausalLM',
    layer: LLAMA,
    wholeNorms: { butNot: [] },
    config: () => ({ hidden_activation: 'gelu_pytorch_tanh' }),
  },
  gemma2: {
    modelType: 'gemma2',
    architectures: 'Gemma2ForCausalLM',
    layer: SANDWICH,
    wholeNorms: { butNot: [] },
    config: (numbers) => ({
      ...gemma(numbers, 46),
      attn_logit_softcapping: numbers.optional('attn_logit_softcapping') ?? null,
      sliding_window: numbers.optional('attention.sliding_window') ?? 4096,
      layer_types: windowTypes(numbers, 2),
    }),
  },
  gemma3: {
    modelType: 'gemma3_text',
    architectures: 'Gemma3ForCausalLM',
    layer: { ...SANDWICH, ...HEAD_NORMS },
    wholeNorms: { butNot: [] },
    config: (numbers) => ({
      ...gemma(numbers, 62),
      sliding_window: numbers.number('attention.sliding_window'),
      layer_types: windowTypes(numbers, 6),
      rope_local_base_freq: numbers.optional('rope.freq_base_swa') ?? 10_000,
    }),
  },
  gemma3n: {
    modelType: 'gemma3n_text',
    architectures: 'Gemma3nForCausalLM',
    layer: {
      ...SANDWICH,
      ...HEAD_NORMS,
      'altup_correct_scale.weight': 'altup.correct_output_scale',
      altup_correct_coef: 'altup.correction_coefs',
      altup_predict_coef: 'altup.prediction_coefs',
      altup_router: 'altup.modality_router',
      altup_router_norm: 'altup.router_norm',
      laurel_l: 'laurel.linear_left',
      laurel_r: 'laurel.linear_right',
      laurel_post_norm: 'laurel.post_laurel_norm',
      ...PER_LAYER,
    },
    outer: {
      ...OUTER,
      altup_proj: 'model.altup_projections.*',
      altup_unembd_proj: 'model.altup_unembed_projections.*',
      ...PER_LAYER_OUTER,
    },
    config: (numbers) => ({
      hidden_activation: 'gelu_pytorch_tanh',
      final_logit_softcapping: numbers.optional('final_logit_softcapping') ?? null,
      sliding_window: numbers.number('attention.sliding_window'),
      layer_types: toldWindowTypes(numbers, 5),
      rope_local_base_freq: numbers.optional('rope.freq_base_swa') ?? 10_000,
      num_kv_shared_layers: numbers.number('attention.shared_kv_layers'),
      hidden_size_per_layer_input: numbers.number('embedding_length_per_layer_input'),
      vocab_size_per_layer_input: numbers.rows('per_layer_token_embd.weight'),
      altup_active_idx: numbers.number('altup.active_idx'),
      altup_num_inputs: numbers.number('altup.num_inputs'),
      altup_coef_clip: 120,
      altup_correct_scale: true,
      laurel_rank: numbers.rows('blk.0.laurel_l.weight'),
      // Files have the quantile of 0.95, or less than any number for layers that are not sparse.
      activation_sparsity_pattern: numbers
        .perLayer('activation_sparsity_scale')
        ?.map((scale) => (Number(scale) > 0 ? 0.95 : 0)),
    }),
  },
  gemma4: {
    modelType: 'gemma4_text',
    architectures: 'Gemma4ForCausalLM',
    layer: {
      ...SANDWICH,
      ...HEAD_NORMS,
      ...PER_LAYER,
      'layer_output_scale.weight': 'layer_scalar',
      post_ffw_norm_1: 'post_feedforward_layernorm_1',
      post_ffw_norm_2: 'post_feedforward_layernorm_2',
      pre_ffw_norm_2: 'pre_feedforward_layernorm_2',
      ffn_gate_inp: 'router.proj',
      'ffn_gate_inp.scale': 'router.scale',
      'ffn_down_exps.scale': 'router.per_expert_scale',
      ffn_gate_up_exps: 'experts.*.{gate_proj,up_proj}',
      ffn_down_exps: 'experts.*.down_proj',
    },
    outer: { ...OUTER, ...PER_LAYER_OUTER },
    config: gemma4,
  },
};
