import {
  type GgufArchitecture,
  type GgufNumbers,
  HEAD_NORMS,
  LLAMA,
  OUTER,
  SANDWICH,
  toldWindowTypes,
  windowTypes,
} from '../architecture.js';

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
      inp_gate: 'per_layer_input_gate',
      proj: 'per_layer_projection',
      post_norm: 'post_per_layer_input_norm',
    },
    outer: {
      ...OUTER,
      altup_proj: 'model.altup_projections.*',
      altup_unembd_proj: 'model.altup_unembed_projections.*',
      per_layer_token_embd: 'model.embed_tokens_per_layer',
      per_layer_model_proj: 'model.per_layer_model_projection',
      per_layer_proj_norm: 'model.per_layer_projection_norm',
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
};
