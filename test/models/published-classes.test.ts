import { expect } from 'chai';
import { loadModels } from '../../src/models/get-model.js';
import { MINIMAX_M3_TEXT } from './minimax-m3.js';
import { type Dict, itIsRead, itIsRefused, routerOf } from './published-checks.js';

/** Hidden and intermediate size, layers, heads, heads of keys, vocabulary, positions. */
type Sizes = readonly [number, number, number, number, number, number, number];

const llama = (
  model_type: string,
  [hidden, inner, layers, heads, kvHeads, vocab, positions]: Sizes,
  says: Dict,
): Dict => ({
  ...{
    model_type,
    hidden_size: hidden,
    intermediate_size: inner,
    num_hidden_layers: layers,
    vocab_size: vocab,
  },
  ...{ num_attention_heads: heads, num_key_value_heads: kvHeads, max_position_embeddings: positions },
  ...{ hidden_act: 'silu', attention_dropout: 0, initializer_range: 0.02, use_cache: true, ...says },
});
const rope = (rope_theta: number) => ({ rope_parameters: { rope_type: 'default', rope_theta } });
const llama3 = {
  rope_type: 'llama3',
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
};
/** Every so manieth layer sees all tokens, the last of each group or the first. */
const layerTypes = (layers: number, every: number, full: number) =>
  Array.from({ length: layers }, (_, i) => (i % every === full ? 'full_attention' : 'sliding_attention'));

/** Text of GLM-4.5-Air and the tower of GLM-4.1V: Glm4vMoeTextConfig and Glm4vVisionConfig of transformers 5.24. */
// biome-ignore format: one class a paragraph
const GLM_EXPERTS = { vocab_size: 151_424, hidden_size: 4096, intermediate_size: 10_944, num_hidden_layers: 46, num_attention_heads: 96, num_key_value_heads: 8, head_dim: 128, hidden_act: 'silu', max_position_embeddings: 65_536, rms_norm_eps: 1e-5, attention_bias: true, attention_dropout: 0,
  moe_intermediate_size: 1408, num_experts_per_tok: 8, n_shared_experts: 1, n_routed_experts: 128, routed_scaling_factor: 1, n_group: 1, topk_group: 1, first_k_dense_replace: 1, norm_topk_prob: true, router_aux_loss_coef: 0.0001, output_router_logits: false, use_cache: true, tie_word_embeddings: false,
  rope_parameters: { rope_type: 'default', rope_theta: 10_000, partial_rotary_factor: 0.5, mrope_section: [8, 12, 12] } };
// biome-ignore format: one class a paragraph
const GLM_TOWER = { depth: 24, hidden_size: 1536, hidden_act: 'silu', attention_bias: false, attention_dropout: 0, num_heads: 12, in_channels: 3, image_size: 336, patch_size: 14, rms_norm_eps: 1e-5, spatial_merge_size: 2, temporal_patch_size: 2, out_hidden_size: 4096, intermediate_size: 13_696,
  initializer_range: 0.02, rope_parameters: { rope_type: 'axial', rope_theta: 10_000 } };

/** Qwen3ASREncoderConfig of transformers 5.24, but for the size of words. */
// biome-ignore format: one class a paragraph
const ASR_ENCODER = { model_type: 'qwen3_asr_encoder', num_mel_bins: 128, encoder_layers: 24, encoder_attention_heads: 16, encoder_ffn_dim: 4096, d_model: 1024, dropout: 0, attention_dropout: 0, activation_function: 'gelu', activation_dropout: 0, scale_embedding: false, initializer_range: 0.02, n_window: 50, n_window_infer: 800,
  downsample_hidden_size: 480, output_dim: 2048 };

/** AudioFlamingo3Config's parts of transformers 5.24. */
// biome-ignore format: one class a paragraph
const FLAMINGO = { audio_token_id: 151_669, projector_hidden_act: 'gelu', projector_bias: true,
  text_config: { model_type: 'qwen2', vocab_size: 151_936, hidden_size: 4096, intermediate_size: 22_016, num_hidden_layers: 32, num_attention_heads: 32, num_key_value_heads: 32, hidden_act: 'silu', max_position_embeddings: 32_768, initializer_range: 0.02, rms_norm_eps: 1e-6, use_cache: true, use_sliding_window: false, sliding_window: 4096,
    max_window_layers: 28, attention_dropout: 0, tie_word_embeddings: false, ...rope(10_000) },
  audio_config: { model_type: 'audioflamingo3_encoder', num_mel_bins: 128, num_hidden_layers: 32, num_attention_heads: 20, intermediate_size: 5120, layerdrop: 0, activation_function: 'gelu', hidden_size: 1280, dropout: 0, attention_dropout: 0, activation_dropout: 0, initializer_range: 0.02, scale_embedding: false, max_source_positions: 1500 } };

/** Text of DeepSeek-OCR and of DeepSeek-OCR-2, and SAM's encoder. */
// biome-ignore format: one class a paragraph
const DEEPSEEK_OCR_TEXT = { bos_token_id: 0, eos_token_id: 1, first_k_dense_replace: 1, hidden_size: 1280, intermediate_size: 6848, kv_lora_rank: null, lm_head: true, max_position_embeddings: 8192, moe_intermediate_size: 896, n_group: 1, n_routed_experts: 64, n_shared_experts: 2, num_attention_heads: 10, num_experts_per_tok: 6, num_hidden_layers: 12,
  num_key_value_heads: 10, q_lora_rank: null, qk_nope_head_dim: 0, qk_rope_head_dim: 0, rm_head: false, topk_group: 1, topk_method: 'greedy', use_mla: false, v_head_dim: 0, vocab_size: 129_280 };
const DEEPSEEK_OCR_SAM = {
  ...{ downsample_channels: [512, 1024], global_attn_indexes: [2, 5, 8, 11], heads: 12, layers: 12 },
  width: 768,
};

/** Defaults of classes of transformers 5.24, which are those of a published checkpoint each. */
// biome-ignore format: one class a paragraph
const CLASSES: Readonly<Record<string, Dict>> = {
  mpt: { model_type: 'mpt', d_model: 2048, n_heads: 16, n_layers: 24, expansion_ratio: 4, max_seq_len: 2048, vocab_size: 50_368, layer_norm_epsilon: 1e-5, no_bias: true,
    learned_pos_emb: true, norm_type: 'low_precision_layernorm', tie_word_embeddings: true, attn_config: { alibi: true, alibi_bias_max: 8, clip_qkv: null, softmax_scale: null, qk_ln: false, prefix_lm: false } },
  codegen: { model_type: 'codegen', vocab_size: 50_400, n_positions: 2048, n_ctx: 2048, n_embd: 4096, n_layer: 28, n_head: 16, rotary_dim: 64, activation_function: 'gelu_new', layer_norm_epsilon: 1e-5,
    bos_token_id: 50_256, eos_token_id: 50_256, tie_word_embeddings: false },
  gpt_neo: { model_type: 'gpt_neo', vocab_size: 50_257, max_position_embeddings: 2048, hidden_size: 2048, num_layers: 24, attention_types: [[['global', 'local'], 12]], num_heads: 16, window_size: 256,
    activation_function: 'gelu_new', layer_norm_epsilon: 1e-5, bos_token_id: 50_256, eos_token_id: 50_256, tie_word_embeddings: true },
  ctrl: { model_type: 'ctrl', vocab_size: 246_534, n_positions: 256, n_embd: 1280, dff: 8192, n_layer: 48, n_head: 16, resid_pdrop: 0.1, embd_pdrop: 0.1, layer_norm_epsilon: 1e-6,
    initializer_range: 0.02, use_cache: true, tie_word_embeddings: true },
  'openai-gpt': { model_type: 'openai-gpt', vocab_size: 40_478, n_positions: 512, n_embd: 768, n_layer: 12, n_head: 12, afn: 'gelu', layer_norm_epsilon: 1e-5 },
  biogpt: { model_type: 'biogpt', vocab_size: 42_384, hidden_size: 1024, num_hidden_layers: 24, num_attention_heads: 16, intermediate_size: 4096, hidden_act: 'gelu', max_position_embeddings: 1024,
    layer_norm_eps: 1e-12, scale_embedding: true, pad_token_id: 1, bos_token_id: 0, eos_token_id: 2 },
  xglm: { model_type: 'xglm', vocab_size: 256_008, max_position_embeddings: 2048, d_model: 1024, ffn_dim: 4096, num_layers: 24, attention_heads: 16, activation_function: 'gelu', scale_embedding: true,
    decoder_start_token_id: 2, pad_token_id: 1, bos_token_id: 0, eos_token_id: 2, add_cross_attention: false, tie_word_embeddings: true },
  glm5_next: { model_type: 'glm5_next', image_token_id: 154_854, video_token_id: 154_855, image_start_token_id: 154_830, image_end_token_id: 154_831, video_start_token_id: 154_832, video_end_token_id: 154_833, tie_word_embeddings: false,
    text_config: llama('glm5_next_text', [4096, 12_288, 45, 64, 64, 154_880, 1_048_576], { moe_intermediate_size: 2048, n_shared_experts: 1, n_routed_experts: 288, routed_scaling_factor: 2.5, kv_lora_rank: 512, q_lora_rank: 1536, qk_rope_head_dim: 0, v_head_dim: 256, qk_nope_head_dim: 256, qk_head_dim: 256, head_dim: 0,
      n_group: 1, topk_group: 1, num_experts_per_tok: 8, norm_topk_prob: true, rms_norm_eps: 1e-5, pad_token_id: 154_820, tie_word_embeddings: false, attention_bias: false, index_topk: 2048, index_head_dim: 128, index_n_heads: 32, index_kpool: 16, index_kpool_always_select_tail: true, swiglu_limit: 10,
      mlp_layer_types: Array.from({ length: 45 }, (_, layer) => (layer < 3 ? 'dense' : 'sparse')), layer_types: Array.from({ length: 45 }, (_, layer) => (layer % 4 === 3 ? 'indexed_attention' : 'linear_attention')), indexer_types: Array(45).fill('full'),
      linear_head_dim: 128, linear_num_heads: 64, linear_conv_kernel_dim: 4, linear_lower_bound: -5, hc_mult: 4, hc_eps: 1e-6, hc_sinkhorn_iters: 20, router_aux_loss_coef: 0.001, output_router_logits: false }),
    vision_config: { model_type: 'glm5_next_vision', depth: 24, hidden_size: 1024, hidden_act: 'silu', attention_bias: true, num_heads: 16, out_hidden_size: 1536, intermediate_size: 4096, projection_intermediate_size: 10_240, swiglu_limit: 10 } },
  // Beam-1.0-501B-A23B is the checkpoint that the class names.
  beam: llama('beam', [5120, 20_480, 52, 48, 8, 151_936, 8192], { rms_norm_eps: 1e-6, head_dim: 128, attention_bias: false, sliding_window: 512, moe_intermediate_size: 2560, num_experts_per_tok: 8, num_experts: 256, norm_topk_prob: true, output_router_logits: false, n_group: 8, topk_group: 4, routed_scaling_factor: 2.5,
    final_logit_softcapping: 30, tie_word_embeddings: false, layer_types: Array.from({ length: 52 }, (_, layer) => ((layer + 1) % 6 === 0 || layer === 51 ? 'full_attention' : 'sliding_attention')), mlp_layer_types: Array.from({ length: 52 }, (_, layer) => (layer < 3 ? 'dense' : 'sparse')),
    rope_parameters: { sliding_attention: { rope_type: 'default', rope_theta: 10_000 }, full_attention: null } }),
  ministral: llama('ministral', [4096, 14_336, 32, 32, 8, 32_000, 131_072],
    { rms_norm_eps: 1e-6, sliding_window: 4096, layer_types: layerTypes(32, 33, 32), ...rope(10_000) }),
  ministral3: llama('ministral3', [4096, 14_336, 34, 32, 8, 131_072, 262_144],
    { head_dim: 128, rms_norm_eps: 1e-5, pad_token_id: 11, rope_parameters: { type: 'yarn', rope_type: 'yarn', rope_theta: 1e6, factor: 16, original_max_position_embeddings: 16_384,
      max_position_embeddings: 262_144, beta_fast: 32, beta_slow: 1, mscale_all_dim: 1, mscale: 1, llama_4_scaling_beta: 0.1 } }),
  mistral4: llama('mistral4', [4096, 12_288, 36, 32, 32, 131_072, 1_048_576],
    { rms_norm_eps: 1e-6, moe_intermediate_size: 2048, n_shared_experts: 1, n_routed_experts: 128, routed_scaling_factor: 1, kv_lora_rank: 256, q_lora_rank: 1024, qk_rope_head_dim: 64, v_head_dim: 128, qk_nope_head_dim: 64, qk_head_dim: 128, head_dim: 128,
      n_group: 1, topk_group: 1, num_experts_per_tok: 4, first_k_dense_replace: 0, norm_topk_prob: true, pad_token_id: 11, bos_token_id: 1, eos_token_id: 2, pretraining_tp: 1, tie_word_embeddings: false, rope_interleave: true, attention_bias: false, output_router_logits: false,
      rope_parameters: { type: 'yarn', rope_type: 'yarn', rope_theta: 10_000, factor: 128, original_max_position_embeddings: 8192, max_position_embeddings: 1_048_576, beta_fast: 32, beta_slow: 1, mscale_all_dim: 1, mscale: 1, llama_4_scaling_beta: 0.1, partial_rotary_factor: 0.5 } }),
  cwm: llama('cwm', [6144, 21_504, 64, 48, 8, 128_256, 131_072],
    { head_dim: 128, rms_norm_eps: 1e-5, mlp_bias: false, pretraining_tp: 1, sliding_window: 8192, layer_types: layerTypes(64, 4, 0), rope_parameters: { ...llama3, rope_theta: 1e6, factor: 16 } }),
  helium: llama('helium', [2560, 7040, 24, 20, 20, 48_000, 4096],
    { head_dim: 128, rms_norm_eps: 1e-8, pad_token_id: 3, attention_bias: false, mlp_bias: false, tie_word_embeddings: false, ...rope(100_000) }),
  vaultgemma: llama('vaultgemma', [2304, 9216, 26, 8, 4, 256_000, 8192],
    { head_dim: 256, hidden_activation: 'gelu_pytorch_tanh', hidden_act: undefined, rms_norm_eps: 1e-6, query_pre_attn_scalar: 256, sliding_window: 4096, layer_types: layerTypes(26, 2, 1),
      // The published file says null, not what the class has.
      final_logit_softcapping: null, attn_logit_softcapping: null, tie_word_embeddings: true, ...rope(10_000) }),
  gemma3n: { model_type: 'gemma3n', audio_soft_tokens_per_image: 188, vision_soft_tokens_per_image: 256, boi_token_id: 255_999, eoi_token_id: 262_144, image_token_id: 262_145, boa_token_id: 256_000, eoa_token_id: 262_272, audio_token_id: 262_273, eos_token_id: [1, 106], tie_word_embeddings: true,
    vision_config: { model_type: 'gemma3n_vision', architecture: 'mobilenetv5_300m_enc', do_pooling: false, hidden_size: 2048, initializer_range: 0.02, label_names: ['LABEL_0', 'LABEL_1'], model_args: null, num_classes: 2, rms_norm_eps: 1e-6, vocab_offset: 262_144, vocab_size: 128 },
    audio_config: { model_type: 'gemma3n_audio', vocab_size: 128, vocab_offset: 262_272, input_feat_size: 128, hidden_size: 1536, rms_norm_eps: 1e-6, gradient_clipping: 1e10, conf_attention_chunk_size: 12, conf_attention_context_left: 13, conf_attention_context_right: 0, conf_attention_logit_cap: 50, conf_num_attention_heads: 8,
      conf_num_hidden_layers: 12, conf_conv_kernel_size: 5, conf_reduction_factor: 4, conf_residual_weight: 0.5, sscp_conv_channel_size: [128, 32], sscp_conv_group_norm_eps: 0.001, sscp_conv_kernel_size: [[3, 3], [3, 3]], sscp_conv_stride_size: [[2, 2], [2, 2]] },
    text_config: { model_type: 'gemma3n_text', vocab_size: 262_400, hidden_size: 2048, intermediate_size: Array(35).fill(16_384), num_hidden_layers: 35, num_attention_heads: 8, num_key_value_heads: 2, head_dim: 256, hidden_activation: 'gelu_pytorch_tanh', max_position_embeddings: 32_768,
      rms_norm_eps: 1e-6, pad_token_id: 0, eos_token_id: 1, bos_token_id: 2, attention_bias: false, sliding_window: 512, layer_types: layerTypes(35, 5, 4), final_logit_softcapping: 30, vocab_size_per_layer_input: 262_144, hidden_size_per_layer_input: 256, altup_active_idx: 0, altup_coef_clip: 120,
      altup_correct_scale: true, altup_num_inputs: 4, num_kv_shared_layers: 15, laurel_rank: 64, activation_sparsity_pattern: Array.from({ length: 35 }, (_, layer) => (layer < 10 ? 0.95 : 0)), rope_parameters: { sliding_attention: { rope_type: 'default', rope_theta: 10_000 }, full_attention: { rope_type: 'default', rope_theta: 1_000_000 } } } },
  // What the class says, and what the script that converts published files to it writes beside that; text of Qwen2-7B.
  fast_vlm: { model_type: 'fast_vlm', image_token_index: 151_646, image_seq_length: 256, vision_feature_layer: -1, vision_feature_select_strategy: 'full', projector_hidden_act: 'gelu', multimodal_projector_bias: true, tie_word_embeddings: false,
    vision_config: { model_type: 'timm_wrapper', architecture: 'fastvit_mci3', do_pooling: true, global_pool: 'avg', hidden_size: 3072, num_features: 3072, initializer_range: 0.02, model_args: { inference_mode: true } },
    text_config: llama('qwen2', [3584, 18_944, 28, 28, 4, 152_128, 131_072], { rms_norm_eps: 1e-6, max_window_layers: 28, use_sliding_window: false, sliding_window: 131_072, tie_word_embeddings: false, ...rope(1_000_000) }) },
  // As code of several projects prints what liuhaotian/llava-v1.5-7b says; of LLaVA 1.6 what its script of transformers' converter and the text say.
  llava_llama: llama('llava_llama', [4096, 11_008, 32, 32, 32, 32_000, 4096], { bos_token_id: 1, eos_token_id: 2, pad_token_id: 0, pretraining_tp: 1, rms_norm_eps: 1e-5, rope_scaling: null, tie_word_embeddings: false, torch_dtype: 'float16', use_cache: false,
    mm_hidden_size: 1024, mm_patch_merge_type: 'flat', mm_projector_type: 'mlp2x_gelu', mm_vision_select_feature: 'patch', mm_vision_select_layer: -2, mm_vision_tower: 'openai/clip-vit-large-patch14-336', use_mm_proj: true, image_aspect_ratio: 'pad', image_grid_pinpoints: null, freeze_mm_mlp_adapter: false, mm_use_im_patch_token: false, mm_use_im_start_end: false, tune_mm_mlp_adapter: false }),
  llava_mistral: llama('llava_mistral', [4096, 14_336, 32, 32, 8, 32_000, 32_768], { rms_norm_eps: 1e-5, rope_theta: 1_000_000, sliding_window: null, tie_word_embeddings: false, image_aspect_ratio: 'anyres', image_grid_pinpoints: [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]],
    mm_hidden_size: 1024, mm_patch_merge_type: 'spatial_unpad', mm_projector_type: 'mlp2x_gelu', mm_vision_select_feature: 'patch', mm_vision_select_layer: -2, mm_vision_tower: 'openai/clip-vit-large-patch14-336', unfreeze_mm_vision_tower: true }),
  // As code of several projects has config.json of apple/FastVLM-0.5B; they differ in whether head and embedding are one.
  llava_qwen2: llama('llava_qwen2', [896, 4864, 24, 14, 2, 151_936, 32_768], { architectures: ['LlavaQwen2ForCausalLM'], bos_token_id: 151_643, eos_token_id: 151_645, rms_norm_eps: 1e-6, rope_theta: 1_000_000, max_window_layers: 24, sliding_window: 32_768, use_sliding_window: false, tie_word_embeddings: false, torch_dtype: 'bfloat16',
    image_aspect_ratio: 'pad', image_grid_pinpoints: null, image_token_index: 151_646, mm_hidden_size: 3072, mm_patch_merge_type: 'flat', mm_projector_lr: null, mm_projector_type: 'mlp2x_gelu', mm_use_im_patch_token: false, mm_use_im_start_end: false, mm_vision_select_feature: 'patch', mm_vision_select_layer: -2, mm_vision_tower: 'mobileclip_l_1024',
    freeze_mm_mlp_adapter: false, tune_mm_mlp_adapter: false, unfreeze_mm_vision_tower: true, use_mm_proj: true, tokenizer_model_max_length: 8192, tokenizer_padding_side: 'right', vision_config: {} }),
  // Heads without a window have 512 numbers, for which ATB has no room, whatever a block holds: here as many as the others.
  gemma4: { model_type: 'gemma4', boi_token_id: 255_999, eoi_token_id: 258_882, image_token_id: 258_880, video_token_id: 258_884, boa_token_id: 256_000, eoa_token_index: 258_883, audio_token_id: 258_881, eos_token_id: [1, 106], tie_word_embeddings: true,
    text_config: { model_type: 'gemma4_text', vocab_size: 262_144, hidden_size: 2304, intermediate_size: 9216, num_hidden_layers: 30, num_attention_heads: 8, num_key_value_heads: 4, head_dim: 256, global_head_dim: 256, hidden_activation: 'gelu_pytorch_tanh', max_position_embeddings: 131_072, rms_norm_eps: 1e-6, pad_token_id: 0, eos_token_id: 1,
      bos_token_id: 2, attention_bias: false, sliding_window: 512, layer_types: layerTypes(30, 6, 5), final_logit_softcapping: 30, use_bidirectional_attention: 'vision', vocab_size_per_layer_input: 262_144, hidden_size_per_layer_input: 256, attention_k_eq_v: false, num_kv_shared_layers: 0, enable_moe_block: false, use_double_wide_mlp: false,
      num_experts: null, top_k_experts: null, moe_intermediate_size: null, rope_parameters: { sliding_attention: { rope_type: 'default', rope_theta: 10_000 }, full_attention: { rope_type: 'proportional', partial_rotary_factor: 0.25, rope_theta: 1_000_000 } } },
    vision_config: { model_type: 'gemma4_vision', hidden_size: 768, intermediate_size: 3072, num_hidden_layers: 16, num_attention_heads: 12, num_key_value_heads: 12, head_dim: 64, hidden_activation: 'gelu_pytorch_tanh', rms_norm_eps: 1e-6, max_position_embeddings: 131_072, attention_bias: false, attention_dropout: 0,
      rope_parameters: { rope_theta: 100, rope_type: 'axial' }, pooling_kernel_size: 3, patch_size: 16, position_embedding_size: 10_240, use_clipped_linears: true, standardize: false },
    audio_config: { model_type: 'gemma4_audio', hidden_size: 1024, num_hidden_layers: 12, num_attention_heads: 8, hidden_act: 'silu', subsampling_conv_channels: [128, 32], conv_kernel_size: 5, residual_weight: 0.5, attention_chunk_size: 12, attention_context_left: 13, attention_context_right: 0, attention_logit_cap: 50,
      attention_invalid_logits_value: -1e9, use_clipped_linears: true, rms_norm_eps: 1e-6, gradient_clipping: 1e10, output_proj_dims: 1536, initializer_range: 0.02 } },
  // As public readers repeat what gemma-4-12B-it says, which is not the class's defaults everywhere; heads as above.
  gemma4_unified: { model_type: 'gemma4_unified', boi_token_id: 255_999, eoi_token_id: 258_882, image_token_id: 258_880, video_token_id: 258_884, boa_token_id: 256_000, eoa_token_index: 258_883, audio_token_id: 258_881, tie_word_embeddings: true,
    text_config: { model_type: 'gemma4_unified_text', vocab_size: 262_144, hidden_size: 3840, intermediate_size: 15_360, num_hidden_layers: 48, num_attention_heads: 16, num_key_value_heads: 8, num_global_key_value_heads: 1, head_dim: 256, global_head_dim: 256, hidden_activation: 'gelu_pytorch_tanh', max_position_embeddings: 262_144, rms_norm_eps: 1e-6,
      pad_token_id: 0, eos_token_id: 1, bos_token_id: 2, attention_bias: false, attention_dropout: 0, attention_k_eq_v: true, sliding_window: 1024, layer_types: layerTypes(48, 6, 5), final_logit_softcapping: 30, hidden_size_per_layer_input: 0, vocab_size_per_layer_input: 262_144, num_kv_shared_layers: 0, use_double_wide_mlp: false,
      use_bidirectional_attention: 'vision', tie_word_embeddings: true, rope_parameters: { sliding_attention: { rope_type: 'default', rope_theta: 10_000 }, full_attention: { rope_type: 'proportional', partial_rotary_factor: 0.25, rope_theta: 1_000_000 } } },
    vision_config: { model_type: 'gemma4_unified_vision', patch_size: 16, pooling_kernel_size: 3, model_patch_size: 48, mm_embed_dim: 3840, mm_posemb_size: 1120, num_soft_tokens: 280, output_proj_dims: 3840, rms_norm_eps: 1e-6 },
    audio_config: { model_type: 'gemma4_unified_audio', audio_samples_per_token: 640, audio_embed_dim: 640, hidden_size: 640, output_proj_dims: 640, rms_norm_eps: 1e-6 } },
  voxtral: { model_type: 'voxtral', hidden_size: 3072, audio_token_id: 24, projector_hidden_act: 'gelu',
    text_config: { model_type: 'llama', vocab_size: 131_072, hidden_size: 3072, intermediate_size: 8192, num_hidden_layers: 30, num_attention_heads: 32, num_key_value_heads: 8, max_position_embeddings: 131_072, rms_norm_eps: 1e-5, use_cache: true, head_dim: 128, hidden_act: 'silu', attention_bias: false, mlp_bias: false,
      pretraining_tp: 1, bos_token_id: 1, eos_token_id: 2, tie_word_embeddings: false, ...rope(100_000_000) },
    audio_config: { model_type: 'voxtral_encoder', vocab_size: 51_866, hidden_size: 1280, intermediate_size: 5120, num_hidden_layers: 32, num_attention_heads: 20, scale_embedding: false, activation_function: 'gelu', num_mel_bins: 128, max_source_positions: 1500, initializer_range: 0.02, attention_dropout: 0, dropout: 0, layerdrop: 0, activation_dropout: 0 } },
  // What code of several projects has of Voxtral-Mini-4B-Realtime-2602's file, beside what the classes write; frequencies of both as its params.json says.
  voxtral_realtime: { model_type: 'voxtral_realtime', hidden_size: 3072, audio_length_per_tok: 8, default_num_delay_tokens: 6, downsample_factor: 4, projector_hidden_act: 'gelu', use_cache: true, tie_word_embeddings: true,
    text_config: llama('voxtral_realtime_text', [3072, 9216, 26, 32, 8, 131_072, 131_072], { rms_norm_eps: 1e-5, head_dim: 128, sliding_window: 8192, bos_token_id: 1, eos_token_id: 2, pad_token_id: 11, tie_word_embeddings: true, ...rope(1_000_000) }),
    audio_config: { model_type: 'voxtral_realtime_encoder', vocab_size: 131_072, hidden_size: 1280, intermediate_size: 5120, num_hidden_layers: 32, num_attention_heads: 32, num_key_value_heads: 32, head_dim: 64, activation_function: 'gelu', hidden_act: 'silu', num_mel_bins: 128, max_position_embeddings: 1500, initializer_range: 0.02, attention_dropout: 0,
      rms_norm_eps: 1e-5, sliding_window: 750, ...rope(1_000_000), use_cache: true } },
  glmasr: { model_type: 'glmasr', audio_token_id: 59_260, projector_hidden_act: 'gelu', tie_word_embeddings: true,
    text_config: { model_type: 'llama', vocab_size: 59_264, hidden_size: 2048, intermediate_size: 6144, num_hidden_layers: 28, num_attention_heads: 16, num_key_value_heads: 4, max_position_embeddings: 8192, rms_norm_eps: 1e-5, use_cache: true, head_dim: 128, hidden_act: 'silu', attention_bias: false, mlp_bias: false,
      pretraining_tp: 1, bos_token_id: 1, eos_token_id: [59_246, 59_253, 59_255], tie_word_embeddings: false, ...rope(10_000) },
    audio_config: { model_type: 'glmasr_encoder', hidden_size: 1280, intermediate_size: 5120, num_hidden_layers: 32, num_attention_heads: 20, num_key_value_heads: 20, hidden_act: 'gelu', max_position_embeddings: 1500, initializer_range: 0.02, attention_dropout: 0, num_mel_bins: 128,
      rope_parameters: { rope_type: 'default', rope_theta: 10_000, partial_rotary_factor: 0.5 } } },
  qwen3_asr: { model_type: 'qwen3_asr', audio_token_id: 151_676, timestamp_token_id: 151_705, pad_token_id: 151_645, eos_token_id: [151_643, 151_645], initializer_range: 0.02, tie_word_embeddings: true, token_classification_bias: false,
    text_config: { model_type: 'qwen3', vocab_size: 151_936, hidden_size: 2048, intermediate_size: 6144, num_hidden_layers: 28, num_attention_heads: 16, num_key_value_heads: 8, head_dim: 128, hidden_act: 'silu', max_position_embeddings: 65_536, rms_norm_eps: 1e-6, use_cache: true, attention_bias: false, tie_word_embeddings: true, ...rope(10_000) },
    audio_config: { ...ASR_ENCODER, max_position_embeddings: 13 } },
  // As code of several projects has what the publisher's own files say, of which none is of transformers.
  'qwen3_asr, within its thinker': { model_type: 'qwen3_asr', support_languages: ['Chinese', 'English'],
    thinker_config: { dtype: 'bfloat16', audio_start_token_id: 151_669, audio_end_token_id: 151_670, audio_token_id: 151_676, audio_config: { ...ASR_ENCODER, model_type: 'qwen3_asr_audio_encoder', max_source_positions: 1500, conv_chunksize: 500 },
      text_config: { vocab_size: 151_936, hidden_size: 2048, intermediate_size: 6144, num_hidden_layers: 28, num_attention_heads: 16, num_key_value_heads: 8, head_dim: 128, max_position_embeddings: 65_536, rms_norm_eps: 1e-6, rope_theta: 1_000_000, rope_scaling: { mrope_section: [24, 20, 20], mrope_interleaved: true } } } },
  audioflamingo3: { model_type: 'audioflamingo3', ...FLAMINGO },
  omniasr: { model_type: 'omniasr', audio_token_id: 10_289, initializer_range: 0.02, bos_token_id: 0, pad_token_id: 1, eos_token_id: 2,
    text_config: llama('llama', [4096, 2816, 12, 8, 8, 11_984, 8192], { rms_norm_eps: 1e-5, pretraining_tp: 1, attention_bias: false, mlp_bias: false, head_dim: 512, bos_token_id: 1, eos_token_id: 2, tie_word_embeddings: false, ...rope(10_000) }),
    audio_config: { model_type: 'omniasr_audio', hidden_size: 1024, conv_dim: Array(7).fill(512), conv_kernel: [10, 3, 3, 3, 3, 2, 2], conv_stride: [5, 2, 2, 2, 2, 2, 2], conv_bias: true, num_attention_heads: 16, num_hidden_layers: 24, num_conv_pos_embeddings: 128, num_conv_pos_embedding_groups: 16, intermediate_size: 4096,
      attention_dropout: 0, hidden_dropout: 0.1, layerdrop: 0.1, activation_dropout: 0.1, initializer_range: 0.02, layer_norm_eps: 1e-5, hidden_act: 'gelu' } },
  fun_asr_nano: { model_type: 'fun_asr_nano', audio_token_id: 151_646, initializer_range: 0.02, tie_word_embeddings: true,
    text_config: { model_type: 'qwen3', vocab_size: 151_936, hidden_size: 1024, intermediate_size: 3072, num_hidden_layers: 28, num_attention_heads: 16, num_key_value_heads: 8, head_dim: 128, hidden_act: 'silu', max_position_embeddings: 40_960, initializer_range: 0.02, rms_norm_eps: 1e-6, use_cache: true, attention_bias: false, use_sliding_window: false, sliding_window: null, max_window_layers: 28, attention_dropout: 0, tie_word_embeddings: true, ...rope(10_000) },
    audio_config: { model_type: 'fun_asr_nano_encoder', num_mel_bins: 80, hidden_size: 512, num_attention_heads: 4, intermediate_size: 2048, num_hidden_layers: 70, hidden_dropout: 0.1, attention_dropout: 0.1, layer_norm_eps: 1e-5, hidden_act: 'relu', max_position_embeddings: 2049, num_stacked_frames: 7, num_timestamp_prediction_layers: 20, fsmn_kernel_size: 11 },
    adaptor_config: { hidden_size: 1024, num_attention_heads: 8, intermediate_size: 256, num_hidden_layers: 2, hidden_dropout: 0, attention_dropout: 0, layer_norm_eps: 1e-5, hidden_act: 'relu', projector_hidden_act: 'relu', projector_hidden_size: 2048 } },
  moss_transcribe_diarize: { model_type: 'moss_transcribe_diarize', audio_token_id: 151_671, audio_merge_size: 4, audio_chunk_size: 480_000, projector_hidden_act: 'silu', projector_bias: true, tie_word_embeddings: true,
    text_config: { model_type: 'qwen3', vocab_size: 151_936, hidden_size: 1024, intermediate_size: 3072, num_hidden_layers: 28, num_attention_heads: 16, num_key_value_heads: 8, head_dim: 128, hidden_act: 'silu', max_position_embeddings: 131_072, initializer_range: 0.02, rms_norm_eps: 1e-6, use_cache: true, attention_bias: false, use_sliding_window: false, sliding_window: null, max_window_layers: 28, attention_dropout: 0, ...rope(1_000_000) },
    audio_config: { model_type: 'moss_transcribe_diarize_audio', num_mel_bins: 80, num_hidden_layers: 24, num_attention_heads: 16, intermediate_size: 4096, hidden_size: 1024, activation_function: 'gelu', dropout: 0, attention_dropout: 0, activation_dropout: 0, initializer_range: 0.02, max_source_positions: 1500 } },
  // MusicFlamingoConfig writes down what follows from others, too.
  musicflamingo: { model_type: 'musicflamingo', ...FLAMINGO, audio_bos_token_id: 151_670, audio_eos_token_id: 151_671, audio_frame_step: 0.01, head_dim: 1280, max_position_embeddings: 1200, rope_parameters: { rope_type: 'default', rope_theta: 1200, partial_rotary_factor: 0.2 } },
  // Frequencies are shared out as in Qwen2.5-VL; the class leaves that to files. Of what speaks one key stands for all.
  qwen2_5_omni: { model_type: 'qwen2_5_omni', enable_audio_output: true, talker_config: { model_type: 'qwen2_5_omni_talker' }, token2wav_config: { model_type: 'qwen2_5_omni_token2wav' },
    thinker_config: { model_type: 'qwen2_5_omni_thinker', audio_token_index: 151_646, image_token_index: 151_655, video_token_index: 151_656, position_id_per_seconds: 25, seconds_per_chunk: 2, audio_start_token_id: 151_647, audio_end_token_id: 151_648, user_token_id: 872, vision_start_token_id: 151_652, vision_end_token_id: 151_653,
      initializer_range: 0.02, tie_word_embeddings: false,
      text_config: { model_type: 'qwen2_5_omni_text', vocab_size: 152_064, hidden_size: 3584, intermediate_size: 18_944, num_hidden_layers: 28, num_attention_heads: 28, num_key_value_heads: 4, hidden_act: 'silu', max_position_embeddings: 32_768, initializer_range: 0.02, rms_norm_eps: 1e-6, use_cache: true, use_sliding_window: false, sliding_window: 32_768,
        max_window_layers: 28, attention_dropout: 0, tie_word_embeddings: true, rope_parameters: { rope_type: 'default', rope_theta: 1_000_000, mrope_section: [16, 24, 24] } },
      vision_config: { model_type: 'qwen2_5_omni_vision_encoder', depth: 32, hidden_size: 3584, hidden_act: 'silu', intermediate_size: 3420, num_heads: 16, in_channels: 3, patch_size: 14, spatial_merge_size: 2, temporal_patch_size: 2, window_size: 112, out_hidden_size: 3584, fullatt_block_indexes: [7, 15, 23, 31], initializer_range: 0.02,
        rope_parameters: { rope_type: 'axial', rope_theta: 10_000 } },
      audio_config: { model_type: 'qwen2_5_omni_audio_encoder', num_mel_bins: 128, encoder_layers: 32, encoder_attention_heads: 20, encoder_ffn_dim: 5120, d_model: 1280, dropout: 0, attention_dropout: 0, activation_function: 'gelu', activation_dropout: 0, scale_embedding: false, initializer_range: 0.02, max_source_positions: 1500, n_window: 100,
        output_dim: 3584 } } },
  // Keys of a published file, as a test of Megatron-Bridge repeats them, with the sizes of the classes. Of what speaks one key stands for all.
  qwen3_omni_moe: { model_type: 'qwen3_omni_moe', assistant_token_id: 77_091, system_token_id: 8948, im_start_token_id: 151_644, im_end_token_id: 151_645, enable_audio_output: true, dtype: 'bfloat16', talker_config: { model_type: 'qwen3_omni_moe_talker' }, code2wav_config: { model_type: '' },
    thinker_config: { model_type: 'qwen3_omni_moe_thinker', dtype: 'bfloat16', audio_token_id: 151_675, audio_start_token_id: 151_669, audio_end_token_id: 151_670, image_token_id: 151_655, video_token_id: 151_656, vision_start_token_id: 151_652, user_token_id: 872, position_id_per_seconds: 13, seconds_per_chunk: 2, initializer_range: 0.02,
      text_config: { model_type: 'qwen3_omni_moe_text', vocab_size: 152_064, hidden_size: 2048, intermediate_size: 768, num_hidden_layers: 28, num_attention_heads: 28, num_key_value_heads: 4, head_dim: 128, hidden_act: 'silu', max_position_embeddings: 32_768, initializer_range: 0.02, rms_norm_eps: 1e-6, use_cache: true, use_sliding_window: false,
        sliding_window: null, use_qk_norm: true, attention_bias: false, attention_dropout: 0, decoder_sparse_step: 1, mlp_only_layers: [], moe_intermediate_size: 768, num_experts_per_tok: 8, num_experts: 128, norm_topk_prob: true, output_router_logits: false, router_aux_loss_coef: 0.001, shared_expert_intermediate_size: 0, tie_word_embeddings: false,
        rope_theta: 1_000_000, rope_scaling: { interleaved: true, mrope_interleaved: true, mrope_section: [24, 20, 20], rope_type: 'default', type: 'default' } },
      vision_config: { model_type: 'qwen3_omni_moe_vision_encoder', depth: 27, hidden_size: 1152, hidden_act: 'gelu_pytorch_tanh', intermediate_size: 4304, num_heads: 16, in_channels: 3, in_chans: 3, image_size: 768, patch_size: 16, spatial_patch_size: 16, spatial_merge_size: 2, temporal_patch_size: 2, tokens_per_second: 2, out_hidden_size: 3584,
        deepstack_visual_indexes: [8, 16, 24], apply_vit_abs_pos_embed: true, initializer_range: 0.02 },
      audio_config: { model_type: 'qwen3_omni_moe_audio_encoder', num_mel_bins: 128, encoder_layers: 32, encoder_attention_heads: 20, encoder_ffn_dim: 5120, d_model: 1280, dropout: 0, attention_dropout: 0, activation_function: 'gelu', activation_dropout: 0, scale_embedding: false, initializer_range: 0.02, max_source_positions: 1500, n_window: 50,
        n_window_infer: 800, conv_chunksize: 500, downsample_hidden_size: 480, output_dim: 3584 } } },
  // As GLM-4.5V says it beside its class's defaults: text of GLM-4.5-Air.
  glm4v_moe: { model_type: 'glm4v_moe', image_token_id: 151_363, video_token_id: 151_364, image_start_token_id: 151_339, image_end_token_id: 151_340, video_start_token_id: 151_341, video_end_token_id: 151_342,
    text_config: { ...GLM_EXPERTS, model_type: 'glm4v_moe_text' }, vision_config: { ...GLM_TOWER, model_type: 'glm4v_moe_vision' } },
  glm46v: { model_type: 'glm46v', image_token_id: 151_343, video_token_id: 151_344, image_start_token_id: 151_339, image_end_token_id: 151_340, video_start_token_id: 151_361, video_end_token_id: 151_362, tie_word_embeddings: false,
    text_config: { model_type: 'glm4v_text', vocab_size: 151_552, hidden_size: 4096, intermediate_size: 13_696, num_hidden_layers: 40, num_attention_heads: 32, num_key_value_heads: 2, hidden_act: 'silu', max_position_embeddings: 32_768, rms_norm_eps: 1e-5, attention_dropout: 0,
      rope_parameters: { rope_type: 'default', rope_theta: 10_000, partial_rotary_factor: 0.5, mrope_section: [8, 12, 12] } },
    vision_config: { ...GLM_TOWER, model_type: 'glm4v_vision' } },
  'glm46v, with experts': { model_type: 'glm46v', text_config: { ...GLM_EXPERTS, model_type: 'glm4v_moe_text' }, vision_config: { ...GLM_TOWER, model_type: 'glm4v_moe_vision' } },
  // As published: its numbers are not the class's defaults everywhere. What it says of quantisation is left out.
  kimi_k25: { model_type: 'kimi_k25', bos_token_id: 163_584, eos_token_id: 163_585, pad_token_id: 163_839, ignore_index: -100, media_placeholder_token_id: 163_605, tie_word_embeddings: false, use_unified_vision_chunk: true, video_placeholder: '<|kimi_k25_video_placeholder|>',
    text_config: { model_type: 'kimi_k2', hidden_size: 7168, intermediate_size: 18_432, num_hidden_layers: 61, num_attention_heads: 64, num_key_value_heads: 64, vocab_size: 163_840, max_position_embeddings: 262_144, hidden_act: 'silu', attention_bias: false, attention_dropout: 0, aux_loss_alpha: 0.001, bos_token_id: 163_584,
      eos_token_id: 163_585, pad_token_id: 163_839, ep_size: 1, first_k_dense_replace: 1, initializer_range: 0.02, kv_lora_rank: 512, moe_intermediate_size: 2048, moe_layer_freq: 1, n_group: 1, n_routed_experts: 384, n_shared_experts: 1, norm_topk_prob: true, num_experts_per_tok: 8, num_nextn_predict_layers: 0, pretraining_tp: 1,
      q_lora_rank: 1536, qk_nope_head_dim: 128, qk_rope_head_dim: 64, v_head_dim: 128, rms_norm_eps: 1e-5, rope_theta: 50_000, rope_scaling: { beta_fast: 32, beta_slow: 1, factor: 64, mscale: 1, mscale_all_dim: 1, original_max_position_embeddings: 4096, type: 'yarn' },
      routed_scaling_factor: 2.827, scoring_func: 'sigmoid', seq_aux: true, topk_group: 1, topk_method: 'noaux_tc', tie_word_embeddings: false, use_cache: true },
    vision_config: { _attn_implementation: 'flash_attention_2', init_pos_emb_height: 64, init_pos_emb_time: 4, init_pos_emb_width: 64, merge_kernel_size: [2, 2], merge_type: 'sd2_tpool', mm_hidden_size: 1152, mm_projector_type: 'patchmerger', patch_size: 14, pos_emb_type: 'divided_fixed', projector_hidden_act: 'gelu',
      projector_ln_eps: 1e-5, text_hidden_size: 7168, video_attn_type: 'spatial_temporal', vt_hidden_size: 1152, vt_intermediate_size: 4304, vt_num_attention_heads: 16, vt_num_hidden_layers: 27 } },
  ernie4_5_vl_moe: { model_type: 'ernie4_5_vl_moe', image_start_token_id: 101_304, image_end_token_id: 101_305, image_token_id: 100_295, video_start_token_id: 101_306, video_end_token_id: 101_307, video_token_id: 103_367, tie_word_embeddings: true,
    text_config: { model_type: 'ernie4_5_vl_moe_text', vocab_size: 103_424, hidden_size: 2560, intermediate_size: 12_288, num_hidden_layers: 28, num_attention_heads: 20, num_key_value_heads: 4, hidden_act: 'silu', max_position_embeddings: 131_072, initializer_range: 0.02, rms_norm_eps: 1e-5, use_cache: true, use_bias: false,
      moe_intermediate_size: [1536, 512], moe_k: 6, moe_num_experts: 64, moe_num_shared_experts: 2, moe_norm_min: 1e-12, output_router_logits: false, router_aux_loss_coef: 0.001, mlp_layer_types: ['dense', ...Array(27).fill('sparse')], rope_parameters: { rope_type: 'default', rope_theta: 500_000, mrope_section: [22, 22, 20] } },
    vision_config: { model_type: 'ernie4_5_vl_moe_vision', depth: 32, hidden_size: 1280, hidden_act: 'quick_gelu', intermediate_size: 5120, num_heads: 16, in_channels: 3, patch_size: 14, spatial_merge_size: 2, temporal_merge_size: 2, rms_norm_eps: 1e-6, initializer_range: 0.02, rope_parameters: { rope_type: 'axial', rope_theta: 10_000 } } },
  // Keys and some values as public readers of idefics2-8b repeat them; the others are written from what is known of it.
  idefics2: { model_type: 'idefics2', image_token_id: 32_001, tie_word_embeddings: false, use_cache: true, dtype: 'float32',
    perceiver_config: { model_type: 'idefics2', hidden_act: 'silu', hidden_size: 4096, rms_norm_eps: 1e-5, resampler_n_latents: 64, resampler_depth: 3, resampler_n_heads: 16, resampler_head_dim: 96, num_key_value_heads: 4, attention_dropout: 0, initializer_range: 0.02, qk_layer_norms_perceiver: false },
    text_config: { model_type: 'mistral', vocab_size: 32_003, max_position_embeddings: 32_768, rms_norm_eps: 1e-5, pad_token_id: 0, sliding_window: 4096, attention_dropout: 0, initializer_range: 0.02 },
    vision_config: { model_type: 'idefics2', hidden_size: 1152, intermediate_size: 4304, num_hidden_layers: 27, num_attention_heads: 16, num_channels: 3, image_size: 980, patch_size: 14, hidden_act: 'gelu_pytorch_tanh', layer_norm_eps: 1e-6, attention_dropout: 0, initializer_range: 0.02 } },
  // Flat, as published files are; values are those of FuyuConfig.
  fuyu: { model_type: 'fuyu', vocab_size: 262_144, max_position_embeddings: 16_384, hidden_size: 4096, intermediate_size: 16_384, num_hidden_layers: 36, num_attention_heads: 64, hidden_act: 'relu2', initializer_range: 0.02, layer_norm_eps: 1e-5, use_cache: true, qk_layernorm: true, hidden_dropout: 0, attention_dropout: 0,
    bos_token_id: 1, eos_token_id: 2, rope_scaling: null, rope_theta: 25_000, tie_word_embeddings: false, torch_dtype: 'bfloat16', image_size: 300, patch_size: 30, num_channels: 3, image_token_id: 71_011 },
  // What AriaConfig and AriaTextConfig have by default, and what configurations have beside that in public readers of older versions of its code.
  aria: { model_type: 'aria', image_token_index: 9, ignore_index: -100, projector_patch_to_query_dict: { 1225: 128, 4900: 256 }, vision_feature_layer: -1, initializer_range: 0.02, tie_word_embeddings: false, max_value_projector_patch_to_query_dict: 256,
    text_config: llama('aria_text', [4096, 4096, 32, 32, 32, 32_000, 2048], { head_dim: 128, rms_norm_eps: 1e-6, use_cache: true, pad_token_id: 2, pretraining_tp: 1, tie_word_embeddings: false, attention_bias: false, mlp_bias: false, moe_num_experts: 8, moe_topk: 2, moe_num_shared_experts: 2, moe_intermediate_size: 4096, moe_z_loss_coeff: 1e-5, moe_aux_loss_coeff: 1e-3, ...rope(10_000) }),
    vision_config: { model_type: 'idefics3_vision', hidden_size: 1152, intermediate_size: 3072, num_hidden_layers: 12, num_attention_heads: 16, num_channels: 3, image_size: 224, patch_size: 32, hidden_act: 'gelu_pytorch_tanh', layer_norm_eps: 1e-6, attention_dropout: 0, initializer_range: 0.02 } },
  lighton_ocr: { model_type: 'lighton_ocr', image_token_id: 151_655, spatial_merge_size: 2, tie_word_embeddings: true,
    text_config: { model_type: 'qwen3', attention_dropout: 0, head_dim: 128, hidden_act: 'silu', hidden_size: 1024, initializer_range: 0.02, intermediate_size: 3072, max_position_embeddings: 40_960, num_attention_heads: 16, num_hidden_layers: 28, num_key_value_heads: 8, rms_norm_eps: 1e-6, rope_theta: 1_000_000, sliding_window: null, use_cache: true, vocab_size: 151_936 },
    vision_config: { model_type: 'pixtral', attention_dropout: 0, head_dim: 64, hidden_act: 'silu', hidden_size: 1024, image_size: 1540, initializer_range: 0.02, intermediate_size: 4096, num_attention_heads: 16, num_channels: 3, num_hidden_layers: 24, patch_size: 14, rope_parameters: { rope_type: 'default', rope_theta: 10_000 } } },
  // MiniMaxAI/MiniMax-M3, as notes of public repositories quote it.
  minimax_m3_vl: { model_type: 'minimax_m3_vl', image_token_compression_method: 'patch_merge', image_token_index: 200_025, multimodal_projector_bias: true, projector_hidden_act: 'gelu', projector_hidden_size: 6144, spatial_merge_size: 2, temporal_patch_size: 2, video_token_index: 200_026, vision_feature_layer: -1, vision_feature_select_strategy: 'full',
    text_config: { vocab_size: 200_064, hidden_size: 6144, intermediate_size: 3072, num_hidden_layers: 60, num_attention_heads: 64, num_key_value_heads: 4, max_position_embeddings: 1_048_576, ...MINIMAX_M3_TEXT },
    vision_config: { model_type: 'clip_vision_model', hidden_size: 1280, intermediate_size: 5120, num_hidden_layers: 32, num_attention_heads: 16, num_channels: 3, patch_size: 14, image_size: 2016, projection_dim: 6144, position_embedding_type: 'rope', rope_mode: '3d', rope_theta: 10_000, hidden_act: 'gelu', layer_norm_eps: 1e-5,
      attention_dropout: 0, initializer_factor: 1, initializer_range: 0.02, vocab_size: 32_000, vision_segment_max_frames: 4, image_token_compression_method: 'patch_merge', spatial_merge_size: 2, temporal_patch_size: 2 } },
  // VideoLLaMA3-2B-Image-HF, the class's own checkpoint, as public notes on its config.json give its numbers.
  video_llama_3: { model_type: 'video_llama_3', image_token_id: 151_655, video_token_id: 151_656, dtype: 'bfloat16', tie_word_embeddings: false,
    text_config: llama('qwen2', [1536, 8960, 28, 12, 2, 151_936, 131_072], { rms_norm_eps: 1e-6, use_sliding_window: false, sliding_window: null, max_window_layers: 28, layer_types: layerTypes(28, 1, 0), tie_word_embeddings: true, ...rope(1_000_000) }),
    vision_config: { model_type: 'video_llama_3_vision', hidden_size: 1152, intermediate_size: 4304, num_hidden_layers: 27, num_attention_heads: 16, num_channels: 3, patch_size: 14, hidden_act: 'gelu_pytorch_tanh', layer_norm_eps: 1e-6, attention_dropout: 0, initializer_range: 0.02, rope_parameters: { rope_type: 'axial', rope_theta: 10_000 } } },
  // MiniCPM-V-4.6, as public copies of its config.json have it.
  minicpmv4_6: { model_type: 'minicpmv4_6', drop_vision_last_layer: false, dtype: 'bfloat16', eos_token_id: 248_044, image_size: 1120, image_token_id: 248_056, insert_layer_id: 6, merge_kernel_size: [2, 2], merger_times: 1, patch_size: 14, tie_word_embeddings: true, video_token_id: 248_057,
    text_config: { model_type: 'qwen3_5_text', attention_bias: false, attention_dropout: 0, attn_output_gate: true, dtype: 'bfloat16', full_attention_interval: 4, head_dim: 256, hidden_act: 'silu', hidden_size: 1024, initializer_range: 0.02, intermediate_size: 3584, layer_types: Array.from({ length: 24 }, (_, i) => (i % 4 === 3 ? 'full_attention' : 'linear_attention')),
      linear_conv_kernel_dim: 4, linear_key_head_dim: 128, linear_num_key_heads: 16, linear_num_value_heads: 16, linear_value_head_dim: 128, mamba_ssm_dtype: 'float32', max_position_embeddings: 262_144, mlp_only_layers: [], mtp_num_hidden_layers: 1, mtp_use_dedicated_embeddings: false, num_attention_heads: 8, num_hidden_layers: 24, num_key_value_heads: 2, partial_rotary_factor: 0.25,
      rms_norm_eps: 1e-6, rope_parameters: { partial_rotary_factor: 0.25, rope_theta: 10_000_000, rope_type: 'default' }, tie_word_embeddings: true, use_cache: true, vocab_size: 248_094 },
    vision_config: { model_type: 'minicpmv4_6_vision', attention_dropout: 0, dtype: 'bfloat16', hidden_act: 'gelu_pytorch_tanh', hidden_size: 1152, image_size: 980, insert_layer_id: 6, intermediate_size: 4304, layer_norm_eps: 1e-6, num_attention_heads: 16, num_channels: 3, num_hidden_layers: 27, patch_size: 14, window_kernel_size: [2, 2] } },
  // What MiniCPMV4_7Config says by itself; files give the ids of words about pictures, here those of a tokenizer's last five.
  minicpmv4_7: { model_type: 'minicpmv4_7', insert_layer_id: 6, image_size: 448, image_token_id: null, video_token_id: null, tie_word_embeddings: false, downsample_mode: '16x', merge_kernel_size: [2, 2], merger_times: 1, patch_size: 16,
    image_start_id: 248_315, image_end_id: 248_316, slice_start_id: 248_317, slice_end_id: 248_318, newline_id: 248_319,
    text_config: { model_type: 'qwen3_5_text', vocab_size: 248_320, hidden_size: 4096, intermediate_size: 12_288, num_hidden_layers: 32, num_attention_heads: 16, num_key_value_heads: 4, hidden_act: 'silu', max_position_embeddings: 32_768, initializer_range: 0.02, rms_norm_eps: 1e-6, use_cache: true, tie_word_embeddings: false,
      rope_parameters: { rope_theta: 10_000, partial_rotary_factor: 0.25, rope_type: 'default' }, attention_bias: false, attention_dropout: 0, head_dim: 256, linear_conv_kernel_dim: 4, linear_key_head_dim: 128, linear_value_head_dim: 128, linear_num_key_heads: 16, linear_num_value_heads: 32,
      layer_types: Array.from({ length: 32 }, (_, i) => (i % 4 === 3 ? 'full_attention' : 'linear_attention')), pad_token_id: null, bos_token_id: null, eos_token_id: null },
    vision_config: { model_type: 'minicpmv4_7_vision', hidden_size: 768, intermediate_size: 3072, num_hidden_layers: 12, num_attention_heads: 12, num_channels: 3, image_size: 224, patch_size: 16, hidden_act: 'gelu_pytorch_tanh', layer_norm_eps: 1e-6, attention_dropout: 0, insert_layer_id: 6, window_kernel_size: [2, 2] } },
  // Janus-Pro-1B, as hf-internal-testing/tiny-processor-janus has its config.json.
  janus: { model_type: 'janus', image_token_id: 100_581,
    text_config: llama('llama', [2048, 5632, 24, 16, 16, 102_400, 16_384], { rms_norm_eps: 1e-6, pretraining_tp: 1, attention_bias: false, mlp_bias: false, head_dim: 128, pad_token_id: 100_002, bos_token_id: 100_000, eos_token_id: 100_001, ...rope(10_000) }),
    vision_config: { model_type: 'janus_vision_model', hidden_size: 1024, num_hidden_layers: 24, num_attention_heads: 16, num_channels: 3, image_size: 384, patch_size: 16, hidden_act: 'gelu', layer_norm_eps: 1e-6, attention_dropout: 0, mlp_ratio: 4, attention_bias: true, hidden_dropout_rate: 0, projection_dim: 2048, projection_dropout: 0,
      use_qk_norm: false, initializer_range: 0.02, depth: 2, num_image_tokens: 576 },
    vq_config: { model_type: 'janus_vqgan', embed_dim: 8, num_embeddings: 16_384, double_latent: false, latent_channels: 256, num_patches: 24, in_channels: 3, out_channels: 3, base_channels: 128, channel_multiplier: [1, 1, 2, 2, 4], num_res_blocks: 2, dropout: 0, projection_dim: 2048, num_hidden_layers: 2, hidden_act: 'gelu', image_token_embed_dim: 2048 } },
  // deepseek-vl-1.3b-chat, as the script says that converts it, convert_deepseek_vl_weights_to_hf.py.
  deepseek_vl: { model_type: 'deepseek_vl', image_token_id: 100_015, tie_word_embeddings: true,
    text_config: llama('llama', [2048, 5632, 24, 16, 16, 102_400, 16_384], { rms_norm_eps: 1e-6, pretraining_tp: 1, attention_bias: false, mlp_bias: false, head_dim: 128, tie_word_embeddings: false, ...rope(10_000) }),
    vision_config: { model_type: 'siglip_vision_model', hidden_size: 1024, intermediate_size: 4096, image_size: 384, patch_size: 16, hidden_act: 'gelu', vision_use_head: false, num_attention_heads: 16, num_hidden_layers: 24, num_channels: 3, layer_norm_eps: 1e-6, attention_dropout: 0 } },
  // deepseek-vl-7b-chat, as the script says that converts it, convert_deepseek_vl_hybrid_weights_to_hf.py.
  deepseek_vl_hybrid: { model_type: 'deepseek_vl_hybrid', image_token_id: 100_015, tie_word_embeddings: true,
    text_config: llama('llama', [4096, 11_008, 30, 32, 32, 102_400, 16_384], { rms_norm_eps: 1e-6, pretraining_tp: 1, attention_bias: false, mlp_bias: false, head_dim: 128, tie_word_embeddings: false, ...rope(10_000) }),
    vision_config: { model_type: 'siglip_vision_model', hidden_size: 1024, intermediate_size: 4096, image_size: 384, patch_size: 16, hidden_act: 'gelu', vision_use_head: false, num_attention_heads: 16, num_hidden_layers: 24, num_channels: 3, layer_norm_eps: 1e-6, attention_dropout: 0 },
    high_res_vision_config: { model_type: 'sam_vision_model', hidden_size: 768, intermediate_size: 3072, output_channels: 256, image_size: 1024, patch_size: 16, num_attention_heads: 12, num_hidden_layers: 12, num_channels: 3, hidden_act: 'gelu', layer_norm_eps: 1e-6, attention_dropout: 0, initializer_range: 1e-10, qkv_bias: true, mlp_ratio: 4, mlp_dim: 3072,
      use_abs_pos: true, use_rel_pos: true, window_size: 14, global_attn_indexes: [2, 5, 8, 11], num_pos_feats: 128, scale: 384 } },
  // blip2-opt-2.7b as it is published; all else is as Blip2Config and OPTConfig have it.
  'blip-2': { model_type: 'blip-2', image_text_hidden_size: 256, image_token_index: 50_265, initializer_factor: 1, initializer_range: 0.02, num_query_tokens: 32, use_decoder_only_language_model: true, qformer_config: { classifier_dropout: null, model_type: 'blip_2_qformer' },
    text_config: { _name_or_path: 'facebook/opt-2.7b', activation_dropout: 0, eos_token_id: 50_118, ffn_dim: 10_240, hidden_size: 2560, model_type: 'opt', num_attention_heads: 32, num_hidden_layers: 32, prefix: '</s>', torch_dtype: 'float16', vocab_size: 50_304, word_embed_proj_dim: 2560 }, torch_dtype: 'float16',
    vision_config: { dropout: 0, initializer_factor: 1, model_type: 'blip_2_vision_model', num_channels: 3, projection_dim: 512 } },
  // instructblip-vicuna-7b as it is published; all else is as InstructBlipConfig has it.
  instructblip: { model_type: 'instructblip', image_token_index: 32_001, initializer_factor: 1, initializer_range: 0.02, num_query_tokens: 32, use_decoder_only_language_model: true, qformer_config: { _attn_implementation_autoset: true, model_type: 'instructblip_qformer', vocab_size: 30_523 }, torch_dtype: 'float32', tie_word_embeddings: false,
    text_config: { architectures: ['LLaMAForCausalLM'], attention_bias: false, bos_token_id: 0, eos_token_id: 1, head_dim: 128, hidden_act: 'silu', hidden_size: 4096, initializer_range: 0.02, intermediate_size: 11_008, max_sequence_length: 2048, mlp_bias: false, model_type: 'llama', num_attention_heads: 32, num_hidden_layers: 32,
      num_key_value_heads: 32, pad_token_id: 32_000, pretraining_tp: 1, rms_norm_eps: 1e-6, rope_scaling: null, rope_theta: 10_000, tie_word_embeddings: false, torch_dtype: 'float16', vocab_size: 32_064 },
    vision_config: { _attn_implementation_autoset: true, model_type: 'instructblip_vision_model' } },
  // InstructBlipVideoConfig, before text of OPT-2.7B: nothing is published under this name.
  instructblipvideo: { model_type: 'instructblipvideo', num_query_tokens: 32, initializer_factor: 1, initializer_range: 0.02, video_token_index: 50_265, use_decoder_only_language_model: true, is_encoder_decoder: false,
    text_config: { model_type: 'opt', ffn_dim: 10_240, hidden_size: 2560, num_attention_heads: 32, num_hidden_layers: 32 },
    qformer_config: { model_type: 'instructblipvideo_qformer', vocab_size: 30_522, hidden_size: 768, num_hidden_layers: 12, num_attention_heads: 12, intermediate_size: 3072, hidden_act: 'gelu', hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0.1, max_position_embeddings: 512, initializer_range: 0.02, layer_norm_eps: 1e-12, pad_token_id: 0,
      cross_attention_frequency: 2, encoder_hidden_size: 1408 },
    vision_config: { model_type: 'instructblipvideo_vision_model', hidden_size: 1408, intermediate_size: 6144, num_hidden_layers: 39, num_attention_heads: 16, image_size: 224, patch_size: 14, hidden_act: 'gelu', layer_norm_eps: 1e-6, attention_dropout: 0, initializer_range: 1e-10, qkv_bias: true } },
  // Video-LLaVA-7B, as VideoLlavaConfig has it by default.
  video_llava: { model_type: 'video_llava', image_token_index: 32_000, video_token_index: 32_001, projector_hidden_act: 'gelu', vision_feature_select_strategy: 'default', vision_feature_layer: -2, image_seq_length: 256, video_seq_length: 2056, multimodal_projector_bias: true, tie_word_embeddings: false,
    text_config: llama('llama', [4096, 11_008, 32, 32, 32, 32_000, 2048], { rms_norm_eps: 1e-6, pretraining_tp: 1, attention_bias: false, mlp_bias: false, head_dim: 128, tie_word_embeddings: false, ...rope(10_000) }),
    vision_config: { model_type: 'clip_vision_model', intermediate_size: 4096, hidden_size: 1024, patch_size: 14, image_size: 224, num_hidden_layers: 24, num_attention_heads: 16, vocab_size: 32_000, projection_dim: 768, num_channels: 3, hidden_act: 'quick_gelu', layer_norm_eps: 1e-5, attention_dropout: 0, initializer_range: 0.02, initializer_factor: 1 } },
  got_ocr2: { model_type: 'got_ocr2', image_token_index: 151_859, image_seq_length: 576, tie_word_embeddings: true,
    text_config: { model_type: 'qwen2', vocab_size: 151_860, hidden_size: 1024, intermediate_size: 2816, num_hidden_layers: 24, num_attention_heads: 16, num_key_value_heads: 16, hidden_act: 'silu', max_position_embeddings: 32_768, initializer_range: 0.02, rms_norm_eps: 1e-6, use_cache: true, tie_word_embeddings: true, rope_theta: 1_000_000,
      use_sliding_window: false, sliding_window: 4096, max_window_layers: 21, attention_dropout: 0 },
    vision_config: { model_type: 'got_ocr2_vision', hidden_size: 768, output_channels: 256, num_hidden_layers: 12, num_attention_heads: 12, num_channels: 3, image_size: 1024, patch_size: 16, hidden_act: 'gelu', layer_norm_eps: 1e-6, attention_dropout: 0, initializer_range: 1e-10, qkv_bias: true, use_abs_pos: true, use_rel_pos: true, window_size: 14, global_attn_indexes: [2, 5, 8, 11], mlp_dim: 3072 } },
  // DeepSeek-OCR, as tests of mlx-swift-lm quote its file, which repeats language_config beside it.
  deepseek_vl_v2: { model_type: 'deepseek_vl_v2', architectures: ['DeepseekOCRForCausalLM'], auto_map: {}, candidate_resolutions: [[1024, 1024]], global_view_pos: 'head', tile_tag: '2D', ...DEEPSEEK_OCR_TEXT, language_config: { architectures: ['DeepseekV2ForCausalLM'], torch_dtype: 'bfloat16', ...DEEPSEEK_OCR_TEXT },
    projector_config: { input_dim: 2048, model_type: 'mlp_projector', n_embed: 1280, projector_type: 'linear' },
    vision_config: { image_size: 1024, mlp_ratio: 3.7362, model_name: 'deeplip_b_l', model_type: 'vision', width: { 'clip-l-14-224': { heads: 16, image_size: 224, layers: 24, patch_size: 14, width: 1024 }, sam_vit_b: DEEPSEEK_OCR_SAM } } },
  // DeepSeek-OCR-2, as a test of OpenVINO GenAI quotes its file.
  deepseek_vl_v2_second: { model_type: 'deepseek_vl_v2', architectures: ['DeepseekOCR2ForCausalLM'], candidate_resolutions: [[1024, 1024]], language_config: { ...DEEPSEEK_OCR_TEXT, moe_layer_freq: 1 },
    projector_config: { input_dim: 896, model_type: 'mlp_projector', n_embed: 1280, projector_type: 'linear' },
    vision_config: { image_size: 1024, mlp_ratio: 3.7362, model_name: 'deepencoderv2', model_type: 'vision', width: { 'qwen2-0-5b': { dim: 896 }, sam_vit_b: DEEPSEEK_OCR_SAM } } },
  // The same in keys of DeepseekOcr2Config, whose SAM and text are those numbers, and the queries those of the published code.
  deepseek_ocr2: { model_type: 'deepseek_ocr2', image_token_id: 128_815, tie_word_embeddings: false,
    text_config: { model_type: 'deepseek_ocr2_text', vocab_size: 129_280, hidden_size: 1280, intermediate_size: 6848, num_hidden_layers: 12, num_attention_heads: 10, num_key_value_heads: 10, hidden_act: 'silu', max_position_embeddings: 8192, initializer_range: 0.02, rms_norm_eps: 1e-6, use_cache: true, bos_token_id: 0, eos_token_id: 1, pretraining_tp: 1, tie_word_embeddings: false,
      attention_bias: false, attention_dropout: 0, mlp_bias: false, n_group: 1, n_routed_experts: 64, output_router_logits: false, n_shared_experts: 2, routed_scaling_factor: 1, topk_group: 1, topk_method: 'greedy', num_experts_per_tok: 6, moe_intermediate_size: 896, mlp_layer_types: ['dense', ...Array(11).fill('sparse')], ...rope(10_000) },
    vision_config: { model_type: 'deepseek_ocr2_vision',
      sam_config: { model_type: 'deepseek_ocr2_sam_vision_model', hidden_size: 768, output_channels: 256, num_hidden_layers: 12, num_attention_heads: 12, num_channels: 3, image_size: 1024, patch_size: 16, hidden_act: 'gelu', layer_norm_eps: 1e-6, attention_dropout: 0, initializer_range: 1e-10, qkv_bias: true, mlp_ratio: 4, use_abs_pos: true, use_rel_pos: true, window_size: 14, global_attn_indexes: [2, 5, 8, 11], mlp_dim: 3072, downsample_channels: [512, 896] },
      encoder_config: { model_type: 'deepseek_ocr2_encoder', vocab_size: 151_936, hidden_size: 896, intermediate_size: 4864, num_hidden_layers: 24, num_attention_heads: 14, num_key_value_heads: 2, hidden_act: 'silu', max_position_embeddings: 32_768, initializer_range: 0.02, rms_norm_eps: 1e-6, use_cache: true, tie_word_embeddings: false, use_sliding_window: false, sliding_window: null, max_window_layers: 28, attention_dropout: 0, ...rope(1_000_000) } } },
  // Nemotron 3 Nano Omni in keys that a test of Ollama quotes of its file; text and encoder as the classes have them by default.
  nemotron_h_omni: { model_type: 'NemotronH_Nano_Omni_Reasoning_V3', patch_size: 16, downsample_ratio: 0.5, img_context_token_id: 18, img_context_token: '<image>', img_start_token: '<img>', img_end_token: '</img>', vit_hidden_size: 1280, projector_hidden_size: 20_480, max_sequence_length: 131_072, force_image_size: 512, use_thumbnail: true, sound_context_token_id: 27, sound_context_token: '<so_embedding>', sound_config: { model_type: 'parakeet' }, norm_mean: [0.5, 0.5, 0.5], norm_std: [0.5, 0.5, 0.5],
    vision_config: { version: 'radio_v2.5-h', patch_size: 16, min_num_patches: 1024, max_num_patches: 13_312, max_resolution: 2048, separate_video_embedder: true },
    llm_config: { architectures: ['NemotronHForCausalLM'], model_type: 'nemotron_h', vocab_size: 131_072, hidden_size: 4096, layers_block_type: ['linear_attention', 'moe', 'full_attention', 'mlp'], num_attention_heads: 32, num_key_value_heads: 8, head_dim: 128, max_position_embeddings: 4096, mlp_hidden_act: 'relu2', ssm_state_size: 128, mamba_num_heads: 128, mamba_head_dim: 64, n_groups: 8, n_routed_experts: 8, num_experts_per_tok: 2 } },
  qianfan_ocr: { model_type: 'qianfan_ocr', image_token_id: 151_667, image_seq_length: 256, downsample_ratio: 0.5, projector_hidden_act: 'gelu', vision_feature_layer: -1, vision_feature_select_strategy: 'default', tie_word_embeddings: false,
    text_config: llama('qwen3', [4096, 22_016, 32, 32, 32, 151_936, 32_768], { head_dim: 128, rms_norm_eps: 1e-6, attention_bias: false, use_sliding_window: false, sliding_window: null, max_window_layers: 28, tie_word_embeddings: false, layer_types: layerTypes(32, 1, 0), ...rope(10_000) }),
    vision_config: { model_type: 'qianfan_ocr_vision', hidden_size: 1024, num_hidden_layers: 24, num_attention_heads: 16, attention_bias: true, use_qk_norm: false, intermediate_size: 4096, hidden_act: 'gelu', hidden_dropout_prob: 0, attention_dropout: 0, projection_dropout: 0, drop_path_rate: 0.1, initializer_range: 0.02, norm_type: 'layer_norm', layer_norm_eps: 1e-6,
      image_size: [448, 448], patch_size: [14, 14], num_channels: 3, use_mask_token: false, use_absolute_position_embeddings: true, layer_scale_init_value: 0.1, use_mean_pooling: true } },
  granite_docling: { model_type: 'granite_docling', image_token_id: 100_337, tie_word_embeddings: true, use_cache: true, pad_token_id: 100_256, density_router_hidden_size: null, density_router_threshold: 0.4, density_router_loss_weight: 0.1,
    text_config: { model_type: 'granite_docling_text', vocab_size: 133_800, hidden_size: 1024, intermediate_size: 2048, num_hidden_layers: 28, num_attention_heads: 16, num_key_value_heads: 4, hidden_act: 'silu', max_position_embeddings: 32_768, initializer_range: 0.02, rms_norm_eps: 1e-5, use_cache: true, pad_token_id: 100_256, bos_token_id: 100_257, eos_token_id: 100_257,
      tie_word_embeddings: true, attention_bias: false, attention_dropout: 0, mlp_bias: false, embedding_multiplier: 12, logits_scaling: 4, residual_multiplier: 0.263, attention_multiplier: 0.015625, rope_parameters: { rope_type: 'default', rope_theta: 10_000 } },
    vision_config: { model_type: 'granite_docling_vision', hidden_size: 768, intermediate_size: 3072, num_hidden_layers: 12, num_attention_heads: 12, num_channels: 3, image_size: 512, patch_size: 16, hidden_act: 'gelu_pytorch_tanh', layer_norm_eps: 1e-6, attention_dropout: 0, initializer_range: 0.02, out_hidden_size: 1024, scale_factor: 4, deepstack_visual_indexes: [3, 7, 10], use_fine_route: true } },
  // granite-vision-4.1-4b, as a test of docling-mlx quotes its file; what that leaves out is the classes'.
  granite4_vision: { model_type: 'granite4_vision', deepstack_layer_map: [[-19, 9], [-13, 6], [-7, 3], [-1, 0]], downsample_rate: '4/8', dtype: 'bfloat16', eos_token_id: 100_257, image_grid_pinpoints: [[384, 384], [384, 3840], [768, 1920], [1152, 1152], [1536, 768], [3840, 384]], image_seq_length: 576, image_token_index: 100_352,
    projector_dropout: 0.1, spatial_target_layers: [12, 15, 18, 21], spatial_vision_layer: -1, tie_word_embeddings: false, use_image_newline_parameter: true, use_spatial_sampling: true, vision_feature_layer: -2, vision_feature_select_strategy: 'full',
    text_config: { attention_bias: false, attention_multiplier: 0.015625, embedding_multiplier: 12, hidden_size: 2560, intermediate_size: 8192, logits_scaling: 10, mlp_bias: false, num_attention_heads: 40, num_hidden_layers: 40, num_key_value_heads: 8, residual_multiplier: 0.22, rms_norm_eps: 1e-5, rope_theta: 10_000_000, vocab_size: 100_353 },
    qformer_config: { model_type: 'blip_2_qformer', vocab_size: 30_522, hidden_size: 1152, num_hidden_layers: 1, num_attention_heads: 18, intermediate_size: 3072, hidden_act: 'gelu', hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0.1, max_position_embeddings: 2048, initializer_range: 0.02, layer_norm_eps: 1e-12, pad_token_id: 0, cross_attention_frequency: 1, encoder_hidden_size: 1152, use_qformer_text_input: false },
    vision_config: { model_type: 'siglip_vision_model', hidden_act: 'gelu_pytorch_tanh', hidden_size: 1152, image_size: 384, intermediate_size: 4304, layer_norm_eps: 1e-6, num_attention_heads: 16, num_channels: 3, num_hidden_layers: 27, patch_size: 16 } },
  // HyperCLOVAX-SEED-Think-32B, as public notes on its config.json give its numbers; the rest is the classes'.
  hyperclovax_vision_v2: { model_type: 'vlm', image_token_id: 128_060, video_token_id: 128_061, tie_word_embeddings: false,
    text_config: { model_type: 'hyperclovax', vocab_size: 128_256, hidden_size: 5120, intermediate_size: 24_192, num_hidden_layers: 72, num_attention_heads: 40, num_key_value_heads: 8, head_dim: 128, hidden_act: 'silu', max_position_embeddings: 131_072, rms_norm_eps: 1e-5, attention_multiplier: 0.08838834764831845, rope_theta: 50_000_000 },
    vision_config: { model_type: 'qwen2_5_vl', depth: 32, hidden_size: 1280, hidden_act: 'silu', intermediate_size: 3456, num_heads: 16, in_channels: 3, patch_size: 14, spatial_merge_size: 2, temporal_patch_size: 2, tokens_per_second: 4, window_size: 112, out_hidden_size: 5120, fullatt_block_indexes: [7, 15, 23, 31], initializer_range: 0.02 } },
  lfm3_vl: { model_type: 'lfm3_vl', image_token_id: 125_030, video_token_id: 125_029, vision_start_token_id: 125_009, vision_end_token_id: 125_010, projector_hidden_act: 'gelu', projector_hidden_size: 4096, projector_bias: true, tie_word_embeddings: true,
    text_config: { model_type: 'lfm3', vocab_size: 128_000, hidden_size: 2048, intermediate_size: 7680, num_hidden_layers: 24, num_attention_heads: 16, num_key_value_heads: 4, max_position_embeddings: 128_000, initializer_range: 0.02, norm_eps: 1e-5, use_cache: true, pad_token_id: 124_893, bos_token_id: 124_894, eos_token_id: 124_900, tie_word_embeddings: true,
      conv_bias: false, conv_L_cache: 7, layer_types: null, head_dim: 128, sliding_window: 256, use_sandwich_norm: true, use_attention_gate: true, attention_bias: false, attention_dropout: 0 },
    vision_config: { model_type: 'lfm3_vl_vision', hidden_size: 1024, intermediate_size: 2560, in_channels: 3, patch_size: 16, spatial_merge_size: 2, temporal_patch_size: 2, initializer_range: 0.02, rope_parameters: { rope_type: 'axial', rope_theta: 1_000_000 }, num_hidden_layers: 14, num_attention_heads: 16, num_key_value_heads: 8, layer_types: null, conv_kernel_size: 3, norm_eps: 1e-5 } },
  // Sizes and the adapter are those of granite-speech-3.3-2b, as public readers of its files repeat them; the rest is the classes', of peft, too.
  granite_speech: { model_type: 'granite_speech', audio_token_index: 49_159, downsample_rate: 5, window_size: 15, has_lora_adapter: true, initializer_range: 0.02, tie_word_embeddings: true,
    text_config: { model_type: 'granite', vocab_size: 49_160, hidden_size: 2048, intermediate_size: 8192, num_hidden_layers: 40, num_attention_heads: 32, num_key_value_heads: 8, hidden_act: 'silu', max_position_embeddings: 2048, initializer_range: 0.02, rms_norm_eps: 1e-6, use_cache: true, pad_token_id: null, bos_token_id: 1, eos_token_id: 2,
      tie_word_embeddings: true, attention_bias: false, attention_dropout: 0, mlp_bias: false, embedding_multiplier: 1, logits_scaling: 1, residual_multiplier: 1, attention_multiplier: 1, rope_scaling: null, rope_theta: 10_000_000 },
    encoder_config: { model_type: 'granite_speech_encoder', input_dim: 160, num_layers: 16, hidden_dim: 1024, feedforward_mult: 4, num_heads: 8, dim_head: 128, output_dim: 256, context_size: 200, max_pos_emb: 512, dropout: 0.1, conv_kernel_size: 15, conv_expansion_factor: 2 },
    projector_config: { model_type: 'blip_2_qformer', vocab_size: 30_522, hidden_size: 1024, num_hidden_layers: 2, num_attention_heads: 16, intermediate_size: 4096, hidden_act: 'gelu', hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0.1, max_position_embeddings: 512, initializer_range: 0.02, layer_norm_eps: 1e-12, pad_token_id: 0,
      position_embedding_type: 'absolute', cross_attention_frequency: 1, encoder_hidden_size: 1024, use_qformer_text_input: false },
    adapter_config: { peft_type: 'LORA', task_type: 'CAUSAL_LM', auto_mapping: null, base_model_name_or_path: null, revision: null, inference_mode: true, r: 64, target_modules: ['q_proj', 'v_proj'], lora_alpha: 8, lora_dropout: 0, fan_in_fan_out: false, bias: 'none', use_rslora: false, modules_to_save: null, init_lora_weights: true,
      layers_to_transform: null, layers_pattern: null, rank_pattern: {}, alpha_pattern: {}, megatron_config: null, megatron_core: 'megatron.core', loftq_config: {}, use_dora: false, layer_replication: null, lora_bias: false } },
  // Phi4MultimodalConfig and those of its parts.
  phi4_multimodal: llama('phi4_multimodal', [3072, 8192, 32, 32, 8, 200_064, 131_072],
    { original_max_position_embeddings: 4096, rms_norm_eps: 1e-5, resid_pdrop: 0, embd_pdrop: 0, tie_word_embeddings: false, bos_token_id: 199_999, eos_token_id: [199_999, 200_020], pad_token_id: 199_999, sliding_window: null, rope_parameters: { rope_type: 'default', rope_theta: 10_000, partial_rotary_factor: 1 },
      vision_config: { model_type: 'phi4_multimodal_vision', hidden_size: 1152, intermediate_size: 4304, num_hidden_layers: 27, num_attention_heads: 16, num_channels: 3, image_size: 448, patch_size: 14, hidden_act: 'gelu_pytorch_tanh', layer_norm_eps: 1e-6, attention_dropout: 0, crop_size: 448, image_token_id: 200_010, feature_layer: -2 },
      audio_config: { model_type: 'phi4_multimodal_audio', hidden_size: 1024, intermediate_size: 1536, num_blocks: 24, num_attention_heads: 16, activation: 'swish', chunk_size: -1, left_chunk: 18, dropout_rate: 0, ext_pw_out_channel: 1024, depthwise_separable_out_channel: 1024, depthwise_multiplier: 1, kernel_size: 3, conv_activation: 'swish',
        input_size: 80, conv_glu_type: 'swish', time_reduction: 8, bias_max_distance: 1000, bias_symmetric: false, nemo_activation: 'relu', nemo_conv_channels: 1024, downsample_rate: 1, initializer_range: 0.02, audio_token_id: 200_011, feature_layer: -2, nemo_final_size: 10 } }),
  // Phi-4-multimodal-instruct as published: its config.json as tests of TensorRT-LLM quote it, adapters as public readers repeat them.
  phi4mm: { model_type: 'phi4mm', vocab_size: 200_064, hidden_size: 3072, intermediate_size: 8192, num_hidden_layers: 32, num_attention_heads: 24, num_key_value_heads: 8, hidden_act: 'silu', max_position_embeddings: 131_072, original_max_position_embeddings: 4096, partial_rotary_factor: 0.75, rms_norm_eps: 1e-5, rope_theta: 10_000, sliding_window: 262_144,
    rope_scaling: { type: 'longrope', short_factor: Array(48).fill(1), long_factor: [1, ...Array(47).fill(2)] }, tie_word_embeddings: true, attention_bias: false, attention_dropout: 0, bos_token_id: 199_999, embd_pdrop: 0, eos_token_id: 199_999, full_attn_mod: 1, initializer_range: 0.02, interpolate_factor: 1, lm_head_bias: false, mlp_bias: false, pad_token_id: 199_999, resid_pdrop: 0, torch_dtype: 'bfloat16', use_cache: true, _attn_implementation: 'flash_attention_2',
    audio_processor: { name: 'cascades', config: { activation: 'swish', activation_checkpointing: { interval: 1, module: 'transformer', offload: false }, attention_dim: 1024, attention_heads: 16, batch_norm: false, bias_in_glu: true, causal: true, chunk_size: -1, cnn_layer_norm: true, conv_activation: 'swish', conv_glu_type: 'swish', depthwise_multiplier: 1, depthwise_seperable_out_channel: 1024, dropout_rate: 0,
      encoder_embedding_config: { input_size: 80 }, ext_pw_kernel_size: 1, ext_pw_out_channel: 1024, input_layer: 'nemo_conv', input_size: 80, kernel_size: 3, left_chunk: 18, linear_units: 1536, nemo_conv_settings: { conv_channels: 1024 }, num_blocks: 24, relative_attention_bias_args: { t5_bias_max_distance: 500, type: 't5' }, time_reduction: 8 } },
    embd_layer: { audio_embd_layer: { compression_rate: 8, downsample_rate: 1, embedding_cls: 'audio', enable_gradient_checkpointing: true, projection_cls: 'mlp', use_conv_downsample: false, use_qformer: false }, embedding_cls: 'image_audio',
      image_embd_layer: { crop_size: 448, embedding_cls: 'tune_image', enable_gradient_checkpointing: true, hd_transform_order: 'sub_glb', image_token_compression_cls: 'avg_pool_2d', projection_cls: 'mlp', use_hd_transform: true, with_learnable_separator: true } },
    vision_lora: { r: 256, lora_alpha: 512, dp: 0, layer: 'layers.*((self_attn\\.(qkv_proj|o_proj))|(mlp\\.(gate_up|down)_proj))' }, speech_lora: { r: 320, lora_alpha: 640, dp: 0.01, layer: '((layers.*self_attn\\.(qkv|o)_proj)|(layers.*mlp\\.(gate_up|down)_proj))' } },
  // As published, of what the file says of text; the rest is the class's.
  glm_ocr: { model_type: 'glm_ocr', image_token_id: 59_280, video_token_id: 59_281, image_start_token_id: 59_256, image_end_token_id: 59_257, video_start_token_id: 59_258, video_end_token_id: 59_259, tie_word_embeddings: false,
    text_config: { model_type: 'glm_ocr_text', pad_token_id: 59_246, vocab_size: 59_392, eos_token_id: [59_246, 59_253], attention_bias: false, attention_dropout: 0, head_dim: 128, hidden_act: 'silu', hidden_size: 1536, initializer_range: 0.02, intermediate_size: 4608, max_position_embeddings: 131_072, num_attention_heads: 16,
      num_hidden_layers: 16, num_nextn_predict_layers: 1, num_key_value_heads: 8, rms_norm_eps: 1e-5, dtype: 'bfloat16', rope_parameters: { rope_type: 'default', mrope_section: [16, 24, 24], partial_rotary_factor: 1, rope_theta: 10_000 }, tie_word_embeddings: false, use_cache: true },
    vision_config: { ...GLM_TOWER, model_type: 'glm_ocr_vision', hidden_size: 1024, num_heads: 16, attention_bias: true, intermediate_size: 4096, out_hidden_size: 1536 } },
  // Flat, as published files have it (what public readers of PaddleOCR-VL 1.5 repeat of it); the rest is the class's.
  paddleocr_vl: { model_type: 'paddleocr_vl', hidden_size: 1024, num_hidden_layers: 18, num_attention_heads: 16, num_key_value_heads: 2, head_dim: 128, intermediate_size: 3072, vocab_size: 103_424, max_position_embeddings: 131_072, rope_theta: 500_000, rope_scaling: { mrope_section: [16, 24, 24], rope_type: 'default', type: 'default' },
    rms_norm_eps: 1e-5, hidden_act: 'silu', tie_word_embeddings: false, sliding_window: null, use_bias: false, image_token_id: 100_295, video_token_id: 101_307, vision_start_token_id: 101_305, vision_end_token_id: 101_306, ignored_index: -100, hidden_dropout_prob: 0, pad_token_id: 0, bos_token_id: 1, eos_token_id: 2,
    vision_config: { model_type: 'paddleocr_vl', hidden_size: 1152, num_hidden_layers: 27, num_attention_heads: 16, intermediate_size: 4304, patch_size: 14, image_size: 384, spatial_merge_size: 2, num_channels: 3, layer_norm_eps: 1e-6, hidden_act: 'gelu_pytorch_tanh', attention_dropout: 0, pad_token_id: 0 } },
  // Flat, as published: what public readers of HunyuanOCR repeat of its sizes and keys, and transformers' own tests of its rope_scaling; the rest is the class's.
  // Of num_experts, routed_scaling_factor, mlp_bias, hidden_dropout and ids that nothing reads here the keys are known, not the values.
  hunyuan_vl: { model_type: 'hunyuan_vl', vocab_size: 120_818, org_vocab_size: 120_818, hidden_size: 1024, intermediate_size: 3584, num_hidden_layers: 24, num_attention_heads: 16, num_key_value_heads: 8, head_dim: 128, attention_head_dim: 128, hidden_act: 'silu', max_position_embeddings: 32_768, initializer_range: 0.02, rms_norm_eps: 1e-5, use_cache: true,
    rope_theta: 10_000, rope_scaling: { type: 'xdrope', factor: 1, alpha: 1000, beta_fast: 32, beta_slow: 1, mscale: 1, mscale_all_dim: 1, xdrope_section: [16, 16, 16, 16] }, tie_word_embeddings: true, attention_bias: false, attention_dropout: 0, mlp_bias: false, norm_type: 'rms', use_qk_norm: true, use_cla: false, num_experts: 1, routed_scaling_factor: 1, pretraining_tp: 1,
    image_token_id: 120_120, image_start_token_id: 120_118, image_end_token_id: 120_119, image_newline_token_id: 120_121, bos_token_id: 120_000, eos_token_id: 120_020, eod_token_id: 3, pad_id: 120_002, pad_token_id: 120_002, sep_token_id: 4, text_start_id: 6, text_end_id: 7, dtype: 'bfloat16',
    vision_config: { model_type: 'hunyuan_vl', hidden_size: 1152, intermediate_size: 4304, num_hidden_layers: 27, num_attention_heads: 16, num_key_value_heads: 16, num_channels: 3, patch_size: 16, spatial_merge_size: 2, temporal_patch_size: 1, max_image_size: 2048, min_image_size: 512, max_vit_seq_len: 16_384, img_max_token_num: 4096, interpolate_mode: 'bilinear',
      out_hidden_size: 1024, text_hidden_size: 1024, hidden_act: 'gelu', rms_norm_eps: 1e-5, attention_dropout: 0, hidden_dropout: 0, add_patchemb_bias: true, cat_extra_token: 1 } },
  // With what its processor says repeated beside it, as published files of the first generation have it.
  lfm2_vl: { model_type: 'lfm2_vl', image_token_id: 396, projector_hidden_act: 'gelu', projector_hidden_size: 2560, projector_bias: true, projector_use_layernorm: true, downsample_factor: 2, tie_embedding: true, vision_feature_layer: -1, do_image_splitting: true, encoder_patch_size: 16, max_image_tokens: 256,
    max_num_patches: 1024, max_pixels_tolerance: 2, max_tiles: 10, min_image_tokens: 64, min_tiles: 2, tile_size: 512, use_image_special_tokens: true, use_thumbnail: true,
    text_config: { model_type: 'lfm2', vocab_size: 65_536, hidden_size: 2560, intermediate_size: 12_288, num_hidden_layers: 32, num_attention_heads: 32, num_key_value_heads: 8, max_position_embeddings: 128_000, norm_eps: 1e-5, conv_bias: false, conv_L_cache: 3, block_multiple_of: 256, block_ffn_dim_multiplier: 1,
      block_auto_adjust_ff_dim: true, layer_types: layerTypes(32, 3, 2).map((type) => (type === 'sliding_attention' ? 'conv' : type)), initializer_range: 0.02, use_cache: true, pad_token_id: 0, bos_token_id: 1, eos_token_id: 2, rope_parameters: { rope_type: 'default', rope_theta: 1_000_000 } },
    vision_config: { model_type: 'siglip2_vision_model', hidden_size: 768, intermediate_size: 3072, num_hidden_layers: 12, num_attention_heads: 12, num_channels: 3, patch_size: 16, hidden_act: 'gelu_pytorch_tanh', layer_norm_eps: 1e-6, attention_dropout: 0, vision_use_head: false, num_patches: 256 } },
  youtu: llama('youtu', [2048, 6144, 32, 16, 16, 128_256, 131_072],
    { kv_lora_rank: 512, q_lora_rank: 1536, qk_rope_head_dim: 64, qk_nope_head_dim: 128, v_head_dim: 128, rms_norm_eps: 1e-6, rope_interleave: true, tie_word_embeddings: true, ...rope(10_000) }),
  // With what published files say beside these, which the class does not read.
  longcat_flash: { model_type: 'longcat_flash', vocab_size: 131_072, hidden_size: 6144, num_layers: 28, num_attention_heads: 64, hidden_act: 'silu', max_position_embeddings: 131_072, initializer_range: 0.02, rms_norm_eps: 1e-5, use_cache: true, bos_token_id: 1, eos_token_id: 2, tie_word_embeddings: false,
    attention_bias: false, attention_dropout: 0, ffn_hidden_size: 12_288, q_lora_rank: 1536, kv_lora_rank: 512, qk_nope_head_dim: 128, qk_rope_head_dim: 64, head_dim: 64, v_head_dim: 128, qk_head_dim: 192, moe_topk: 12, n_routed_experts: 512, output_router_logits: false, zero_expert_num: 256, expert_ffn_hidden_size: 2048,
    routed_scaling_factor: 6, attention_method: 'MLA', mla_scale_q_lora: true, mla_scale_kv_lora: true, zero_expert_type: 'identity', router_bias: false, ...rope(10_000_000) },
  'modernbert-decoder': { model_type: 'modernbert-decoder', vocab_size: 50_368, hidden_size: 768, intermediate_size: 1152, num_hidden_layers: 22, num_attention_heads: 12, hidden_activation: 'gelu', max_position_embeddings: 8192, initializer_range: 0.02, initializer_cutoff_factor: 2, norm_eps: 1e-5, norm_bias: false,
    pad_token_id: 50_283, eos_token_id: 50_282, bos_token_id: 50_281, cls_token_id: 50_281, sep_token_id: 50_282, attention_bias: false, attention_dropout: 0, embedding_dropout: 0, mlp_bias: false, mlp_dropout: 0, decoder_bias: true, classifier_dropout: 0, classifier_bias: false, classifier_activation: 'gelu', use_cache: true,
    local_attention: 128, sliding_window: 64, tie_word_embeddings: true, layer_types: layerTypes(22, 3, 0), rope_parameters: { full_attention: { rope_type: 'default', rope_theta: 160_000 }, sliding_attention: { rope_type: 'default', rope_theta: 10_000 } } },
  persimmon: { model_type: 'persimmon', vocab_size: 262_144, hidden_size: 4096, intermediate_size: 16_384, num_hidden_layers: 36, num_attention_heads: 64, hidden_act: 'relu2', max_position_embeddings: 16_384, initializer_range: 0.02, layer_norm_eps: 1e-5, use_cache: true, tie_word_embeddings: false,
    qk_layernorm: true, hidden_dropout: 0, attention_dropout: 0, bos_token_id: 1, eos_token_id: 2, rope_parameters: { rope_type: 'default', rope_theta: 10_000, partial_rotary_factor: 0.5 } },
  jais2: llama('jais2', [3328, 26_624, 32, 26, 26, 150_272, 8192],
    { head_dim: 128, hidden_act: 'relu2', layer_norm_eps: 1e-5, attention_bias: true, mlp_bias: true, bos_token_id: 0, eos_token_id: 150_024, ...rope(10_000) }),
  flex_olmo: llama('flex_olmo', [4096, 11_008, 32, 32, 32, 100_352, 4096],
    { rms_norm_eps: 1e-6, pad_token_id: 100_277, num_experts: 7, num_experts_per_tok: 5, norm_topk_prob: false, attention_bias: false, ...rope(500_000) }),
  minimax_m2: llama('minimax_m2', [3072, 1536, 62, 48, 8, 200_064, 196_608],
    { head_dim: 128, rms_norm_eps: 1e-6, num_local_experts: 256, num_experts_per_tok: 8, router_jitter_noise: 0, ...rope(5_000_000) }),
  solar_open: llama('solar_open', [4096, 10_240, 48, 64, 8, 196_608, 131_072],
    { head_dim: 128, rms_norm_eps: 1e-5, moe_intermediate_size: 1280, n_routed_experts: 128, num_experts_per_tok: 8, n_shared_experts: 1, routed_scaling_factor: 1, n_group: 1, topk_group: 1,
      norm_topk_prob: true, attention_bias: false, ...rope(1_000_000) }),
  nanochat: llama('nanochat', [768, 8192, 12, 6, 6, 50_304, 2048],
    { hidden_act: 'relu2', rms_norm_eps: 1e-6, final_logit_softcapping: 15, attention_bias: false, tie_word_embeddings: false, ...rope(10_000) }),
  apertus: llama('apertus', [4096, 14_336, 32, 32, 32, 131_072, 65_536],
    { hidden_act: 'xielu', rms_norm_eps: 1e-5, pad_token_id: 3, attention_bias: false, rope_parameters: { ...llama3, rope_theta: 12_000_000, factor: 8 } }),
  // The rotary embedding is the one that the class takes where files have none.
  mistral_large4: { model_type: 'mistral_large4', tie_word_embeddings: false, image_token_index: 10, projector_hidden_act: 'gelu', vision_feature_layer: -1, multimodal_projector_bias: false, spatial_merge_size: 2,
    text_config: llama('mistral_large4_text', [6144, 24_576, 72, 64, 64, 204_800, 1_048_576],
      { rms_norm_eps: 1e-5, moe_intermediate_size: 6144, n_shared_experts: 1, n_routed_experts: 128, num_experts_per_tok: 4, routed_scaling_factor: 1, n_group: 1, topk_group: 1, kv_lora_rank: 512, qk_rope_head_dim: 64, qk_nope_head_dim: 64, v_head_dim: 128,
        head_dim: 64, qk_head_dim: 128, attention_bias: false, index_topk: 2048, index_head_dim: 128, index_n_heads: 32, first_k_dense_replace: 1, final_logit_softcapping: 30, bos_token_id: 1, eos_token_id: 2, output_router_logits: false,
        kv_source_layers: Array.from({ length: 72 }, (_, layer) => layer), no_rope_layers: Array.from({ length: 72 }, (_, layer) => (layer % 4 === 3 ? 0 : 1)), layer_types: Array.from({ length: 72 }, () => 'indexed_attention'),
        rope_parameters: { rope_type: 'yarn', rope_theta: 10_000, factor: 2048, original_max_position_embeddings: 512, beta_fast: 32, beta_slow: 1, attention_factor: 1 } }),
    vision_config: { model_type: 'pixtral', hidden_size: 2048, intermediate_size: 6144, num_hidden_layers: 30, num_attention_heads: 16, patch_size: 14, image_size: 1540 } },
  apertus1p5: { model_type: 'apertus1p5', tie_word_embeddings: false, image_token_id: 131_079, audio_token_id: 131_085, image_token_offset: 131_272, audio_token_offset: 262_344,
    text_config: llama('apertus1p5_text', [4096, 14_336, 32, 32, 32, 266_752, 65_536],
      { hidden_act: 'xielu', rms_norm_eps: 1e-5, pad_token_id: 3, attention_bias: false, output_vocab_size: 131_272, rope_parameters: { ...llama3, rope_theta: 12_000_000, factor: 8 } }),
    vision_config: { model_type: 'apertus1p5_vision_tokenizer', codebook_size: 131_072, embed_dim: 256 }, audio_config: { model_type: 'wavtokenizer_encoder', codebook_size: 4096 } },
  afmoe: llama('afmoe', [2048, 6144, 32, 16, 16, 200_192, 16_384],
    { head_dim: 128, rms_norm_eps: 1e-5, moe_intermediate_size: 1408, num_dense_layers: 1, num_experts: 64, num_experts_per_tok: 6, num_shared_experts: 2, route_scale: 1, sliding_window: 1024,
      global_attn_every_n_layers: 4, layer_types: layerTypes(32, 4, 3), mup_enabled: false, attention_bias: false, ...rope(10_000) }),
  glm4_moe_lite: llama('glm4_moe_lite', [2048, 10_240, 47, 20, 20, 154_880, 202_752],
    { rms_norm_eps: 1e-5, moe_intermediate_size: 1536, n_routed_experts: 64, num_experts_per_tok: 4, n_shared_experts: 1, routed_scaling_factor: 1.8, kv_lora_rank: 512, q_lora_rank: 768,
      qk_rope_head_dim: 64, qk_nope_head_dim: 192, v_head_dim: 256, n_group: 1, topk_group: 1, norm_topk_prob: true, rope_interleave: true, pretraining_tp: 1, attention_bias: false, ...rope(10_000) }),
  phimoe: llama('phimoe', [4096, 6400, 32, 32, 8, 32_064, 131_072],
    { rms_norm_eps: 1e-5, num_local_experts: 16, num_experts_per_tok: 2, router_jitter_noise: 0.01, input_jitter_noise: 0, attention_bias: false, lm_head_bias: false, ...rope(1_000_000) }),
  // Layers, tiles and sizes are those of Llama 3.2 11B Vision, whose files have tiles of 560 pixels.
  mllama: { model_type: 'mllama', image_token_index: 128_256, tie_word_embeddings: false,
    text_config: llama('mllama_text_model', [4096, 14_336, 40, 32, 8, 128_256, 131_072], { attention_dropout: undefined, rms_norm_eps: 1e-5, cross_attention_layers: [3, 8, 13, 18, 23, 28, 33, 38], dropout: 0, bos_token_id: 128_000, eos_token_id: 128_001, pad_token_id: 128_004, tie_word_embeddings: false,
      rope_parameters: { ...llama3, rope_theta: 500_000, factor: 8 } }),
    vision_config: { model_type: 'mllama_vision_model', hidden_size: 1280, hidden_act: 'gelu', num_hidden_layers: 32, num_global_layers: 8, attention_heads: 16, num_channels: 3, intermediate_size: 5120, vision_output_dim: 7680, image_size: 560, patch_size: 14, norm_eps: 1e-5, max_num_tiles: 4, intermediate_layers_indices: [3, 7, 15, 23, 30],
      supported_aspect_ratios: [[1, 1], [1, 2], [1, 3], [1, 4], [2, 1], [2, 2], [3, 1], [4, 1]], initializer_range: 0.02 } },
  bitnet: llama('bitnet', [2560, 6912, 30, 20, 5, 128_256, 2048],
    { hidden_act: 'relu2', rms_norm_eps: 1e-5, attention_bias: false, tie_word_embeddings: false, ...rope(500_000) }),
};

describe('published sizes that classes of transformers have by default', function () {
  this.timeout(60_000);
  before(() => loadModels());
  for (const [name, dict] of Object.entries(CLASSES)) itIsRead(name, dict);

  const within = (name: string, says: Dict, part: string): Dict => ({
    ...CLASSES[name],
    [part]: { ...(CLASSES[name]?.[part] as Dict), ...says },
  });
  itIsRefused(
    'Mistral Large 4 with keys of a layer that others are handed',
    within(
      'mistral_large4',
      { kv_source_layers: Array.from({ length: 72 }, (_, layer) => (layer > 2 ? 0 : layer)) },
      'text_config',
    ),
    /kv_source_layers: layer 3 must name the last lender before it that turns as it does \(none\), found 0/,
  );
  itIsRefused(
    'Mistral Large 4 with angles that depend on lengths',
    within(
      'mistral_large4',
      { rope_parameters: { rope_type: 'dynamic', rope_theta: 10_000, factor: 2 } },
      'text_config',
    ),
    /rope_type must not depend on lengths, whose frequencies are learned here: found dynamic/,
  );
  itIsRefused(
    'Kimi-K2.5 with another pooling',
    within('kimi_k25', { merge_type: 'sd2' }, 'vision_config'),
    /vision_config\.merge_type .*sd2_tpool.*found "sd2"/,
  );
  itIsRefused(
    'Kimi-K2.5 with positions of no square',
    within('kimi_k25', { init_pos_emb_width: 32 }, 'vision_config'),
    /positions must cover a square, found 64 x 32/,
  );
  itIsRefused(
    'ERNIE-4.5-VL with another allotment of frequencies',
    within(
      'ernie4_5_vl_moe',
      { rope_parameters: { rope_theta: 500_000, mrope_section: [20, 24, 20] } },
      'text_config',
    ),
    /mrope_section must have as much height as width, found 20, 24/,
  );
  for (const [what, says, names] of [
    ['another encoder', { architecture: 'fastvit_mci4' }, /architecture must be fastvit_mci3/],
    [
      'branches of training',
      { model_args: null },
      /model_args.inference_mode must be true: branches of training/,
    ],
    [
      'channels that come to thrice as many',
      { model_args: { inference_mode: true, embed_dims: [96, 288, 576, 1152, 1152] } },
      /model_args.embed_dims must stay or double, the last two multiples of 32, found 96,288/,
    ],
    [
      'rows of another size',
      { hidden_size: 1536 },
      /hidden_size must be 3072, twice the channels .* found 1536/,
    ],
  ] as const)
    itIsRefused(`FastVLM with ${what}`, within('fast_vlm', says, 'vision_config'), names);
  for (const [what, says, names] of [
    [
      'two axes',
      { mrope_section: [32, 32] },
      /must be 3 or 4 counts that make half of a head \(64\), found 32,32/,
    ],
    ['a part of a head', { mrope_section: [8, 8, 8] }, /make half of a head \(64\), found 8,8,8/],
    ['two spellings', { mrope_section: [16, 24, 24], xdrope_section: [24, 24, 16] }, /contradict each other/],
    ['no sections', {}, /mrope_section is missing/],
    [
      'angles that depend on lengths',
      { mrope_section: [16, 24, 24], factor: 2, alpha: null },
      /rope_type must not depend on lengths here: dynamic needs alpha/,
    ],
  ] as const)
    itIsRefused(
      `HunyuanOCR with ${what}`,
      { ...CLASSES.hunyuan_vl, rope_scaling: { type: 'dynamic', alpha: 1000, ...says } },
      names,
    );
  itIsRefused(
    'HunyuanOCR with positions drawn out otherwise',
    within('hunyuan_vl', { interpolate_mode: 'bicubic' }, 'vision_config'),
    /vision_config.interpolate_mode must be .*bilinear.*found "bicubic"/,
  );
  itIsRefused(
    'GLM-OCR with biases of text, which its class has not',
    within('glm_ocr', { attention_bias: true }, 'text_config'),
    /text_config.attention_bias must be .*false.*found true/,
  );
  itIsRefused(
    'GraniteDocling with vectors of a layer that its encoder has not',
    within('granite_docling', { deepstack_visual_indexes: [3, 12] }, 'vision_config'),
    /deepstack_visual_indexes must be some of 12 layers, first ones first, found 3,12/,
  );
  for (const [what, says, part, names] of [
    [
      'rows seen in chunks',
      { chunk_size: 18 },
      'audio_config',
      /audio_config\.chunk_size must be .*-1.*found 18/,
    ],
    [
      'thirds of frames',
      { time_reduction: 6 },
      'audio_config',
      /time_reduction must be a power of two, found 6/,
    ],
    [
      'channels beside rows',
      { ext_pw_out_channel: 512 },
      'audio_config',
      /ext_pw_out_channel must be hidden_size \(1024\), found 512/,
    ],
    [
      'tiles of 33 patches',
      { image_size: 462, crop_size: 462 },
      'vision_config',
      /image_size must be an even number of patches of 14, found 462/,
    ],
    [
      'tiles that no encoder reads',
      { crop_size: 224 },
      'vision_config',
      /crop_size must be image_size \(448\), found 224/,
    ],
    [
      'an adapter of embeddings',
      { target_modules: ['embed_tokens'] },
      'vision_lora',
      /vision_lora\.target_modules .*found/,
    ],
    [
      'an adapter of attention alone',
      { layer: 'self_attn.qkv_proj' },
      'speech_lora',
      /must be a list of qkv_proj, o_proj, gate_up_proj, down_proj, or a pattern/,
    ],
  ] as const)
    itIsRefused(`Phi-4-multimodal with ${what}`, within('phi4_multimodal', says, part), names);
  itIsRefused(
    'Music Flamingo with rows that turn further than they are wide',
    within('musicflamingo', { partial_rotary_factor: 0.6 }, 'rope_parameters'),
    /rope_parameters\.partial_rotary_factor must turn at most half of 1280, found 0\.6/,
  );
  itIsRefused(
    'Fun-ASR-Nano with rows that are no words',
    within('fun_asr_nano', { hidden_size: 512 }, 'adaptor_config'),
    /adaptor_config\.hidden_size must be that of text_config \(1024\), found 512/,
  );
  itIsRefused(
    'MOSS-Transcribe-Diarize with stretches of no whole tokens',
    { ...CLASSES.moss_transcribe_diarize, audio_merge_size: 7 },
    /audio_merge_size must divide max_source_positions \(1500\), found 7/,
  );
  itIsRefused(
    'Phi-4-multimodal, as published, with the whole before tiles',
    within('phi4mm', { image_embd_layer: { hd_transform_order: 'glb_sub' } }, 'embd_layer'),
    /embd_layer\.image_embd_layer\.hd_transform_order must be .*sub_glb.*found "glb_sub"/,
  );
  itIsRefused(
    'LFM3-VL with a convolution that has no middle',
    within('lfm3_vl', { conv_kernel_size: 4 }, 'vision_config'),
    /vision_config\.conv_kernel_size must be odd, found 4/,
  );
  itIsRefused(
    'LFM3-VL with kinds of layers for an encoder of another depth',
    within('lfm3_vl', { layer_types: ['conv'] }, 'vision_config'),
    /vision_config\.layer_types must have one entry for each of the 14 layers, found 1/,
  );
  for (const [what, says, names] of [
    ['queries that no blocks stand for', { downsample_rate: '3/8' }, /downsample_rate .* found "3\/8"/],
    ['windows that do not fill a tile', { downsample_rate: '5/10' }, /that one 24 patches, found "5\/10"/],
    ['corners of other blocks', { downsample_rate: '2/8' }, /downsample_rate must be a half where/],
    [
      'two vectors for one layer',
      { spatial_target_layers: [9] },
      /different ones of 40 layers .*found 0,3,6,9,9/,
    ],
    ['text of mixers, as of Granite 4.0', { text_config: { model_type: 'granitemoehybrid' } }, /model_type/],
  ] as const)
    itIsRefused(`Granite Vision 4.1 with ${what}`, { ...CLASSES.granite4_vision, ...says }, names);
  itIsRefused(
    'Granite Speech with blocks in which some distances have no vector',
    within('granite_speech', { context_size: 513 }, 'encoder_config'),
    /encoder_config\.context_size must be at most max_pos_emb \(512\), found 513/,
  );
  itIsRefused(
    'Granite Speech without the file that tells of its adapter',
    { ...CLASSES.granite_speech, adapter_config: undefined },
    /has_lora_adapter must be false, or true with adapter_config\.json and adapter_model\.safetensors beside the weights/,
  );
  itIsRefused(
    'Granite Speech with an adapter of another kind',
    within('granite_speech', { use_dora: true }, 'adapter_config'),
    /adapter_config\.use_dora must be absent, null, false or empty/,
  );
  itIsRefused(
    'Granite Speech with queries for rows of another encoder',
    within('granite_speech', { encoder_hidden_size: 1408 }, 'projector_config'),
    /projector_config\.encoder_hidden_size must be that of rows of encoder_config \(1024\), found 1408/,
  );
  itIsRefused(
    'Granite Speech with windows of which no whole queries come',
    { ...CLASSES.granite_speech, downsample_rate: 4 },
    /downsample_rate must divide window_size \(15\), found 4/,
  );
  itIsRefused(
    'Llama 3.2 Vision with canvases that its processor does not number so',
    within(
      'mllama',
      {
        supported_aspect_ratios: [
          [1, 1],
          [2, 2],
        ],
      },
      'vision_config',
    ),
    /supported_aspect_ratios must be all of at most 4 tiles, in order: \[\[1,1\],.*found \[\[1,1\],\[2,2\]\]/,
  );
  itIsRefused(
    'Llama 3.2 Vision with a layer that attends to pictures behind the last',
    within('mllama', { cross_attention_layers: [3, 40] }, 'text_config'),
    /cross_attention_layers must be ascending layers below 40, found 3,40/,
  );
  itIsRefused(
    'BLIP-2 with text of two halves',
    { ...CLASSES['blip-2'], text_config: { model_type: 't5' } },
    /text_config\.model_type must be opt: nothing else is supported by this family, found "t5"/,
  );
  itIsRefused(
    'InstructBLIP with text of two halves',
    { ...CLASSES.instructblip, text_config: { model_type: 't5' } },
    /text_config\.model_type must be one of llama, opt, found "t5"/,
  );
  itIsRefused(
    'Janus with norms of heads, which its class cannot compute',
    within('janus', { use_qk_norm: true }, 'vision_config'),
    /vision_config\.use_qk_norm must be false/,
  );
  itIsRefused(
    'Janus with rows that are no words',
    within('janus', { projection_dim: 1024 }, 'vision_config'),
    /projection_dim must be hidden_size of text_config \(2048\), found 1024/,
  );
  itIsRefused(
    'GLM-5.3 with pools of which a choice has no whole number, and a choice that goes through linear attention',
    within(
      'glm5_next',
      {
        index_topk: 2040,
        indexer_types: Array.from({ length: 45 }, (_, layer) => (layer === 7 ? 'shared' : 'full')),
      },
      'text_config',
    ),
    /index_topk \(2040\) must be a multiple of index_kpool \(16\).*indexer_types must be "full" in layer 7/,
  );
  itIsRefused(
    'Beam whose layers with a window turn nothing, and others do',
    {
      ...CLASSES.beam,
      rope_parameters: { sliding_attention: null, full_attention: { rope_type: 'default', rope_theta: 1e4 } },
    },
    /sliding_attention must be an object.*full_attention: this family has a RoPE for each of sliding_attention/,
  );
  itIsRefused(
    'LFM2-VL with another layer',
    { ...CLASSES.lfm2_vl, vision_feature_layer: -2 },
    /vision_feature_layer must be -1/,
  );
  itIsRefused(
    'MiniCPM-V 4.6 with fewer rows behind a layer that it lacks',
    { ...CLASSES.minicpmv4_6, insert_layer_id: 27 },
    /insert_layer_id must be that of one of 27 layers of vision_config, found 27/,
  );
  itIsRefused(
    'MiniCPM-V 4.6 with blocks of another size',
    { ...CLASSES.minicpmv4_6, merge_kernel_size: [4, 4] },
    /merge_kernel_size must be \[2, 2\].*found \[4,4\]/,
  );
  itIsRefused(
    'MiniCPM-V 4.7 without the ids of words about pictures',
    { ...CLASSES.minicpmv4_7, slice_start_id: null },
    /slice_start_id/,
  );
  for (const [what, says, names] of [
    ['of three folders, as VILA 1.5', { llm_cfg: {} }, /llm_cfg is that of VILA.*three folders/],
    [
      'with one linear, as the first',
      { mm_projector_type: 'linear' },
      /mm_projector_type must be .*mlp2x_gelu.*linear/,
    ],
    [
      'with an encoder that nobody knows',
      { mm_vision_tower: 'google/siglip-so400m-patch14-384' },
      /mm_vision_tower must end in clip-vit-large-patch14 .*vision_config of CLIP/,
    ],
    [
      'of tiles side by side',
      { image_aspect_ratio: 'anyres' },
      /mm_patch_merge_type must be "spatial_unpad"/,
    ],
  ] as const)
    itIsRefused(`LLaVA ${what}`, { ...CLASSES.llava_llama, ...says }, names);
  itIsRefused(
    'a LLaVA of another encoder under the name of FastVLM',
    { ...CLASSES.llava_qwen2, mm_vision_tower: 'openai/clip-vit-large-patch14-336' },
    /mm_vision_tower must be "mobileclip_l_1024", .*found "openai\/clip-vit-large-patch14-336"/,
  );
  itIsRefused(
    'Voxtral with rows that make no whole tokens',
    within('voxtral', { intermediate_size: 5000 }, 'audio_config'),
    /intermediate_size must be a multiple of hidden_size \(1280\).*found 5000/,
  );
  for (const [what, says, names] of [
    [
      'a convolution too many',
      { conv_kernel: [10, 3] },
      /conv_kernel must have as many numbers as conv_dim \(7\), found 2/,
    ],
    [
      'groups of unequal channels',
      { num_conv_pos_embedding_groups: 3 },
      /groups must divide hidden_size \(1024\), found 3/,
    ],
    [
      'an odd number of rows that a place sees',
      { num_conv_pos_embeddings: 127 },
      /embeddings must be even, found 127/,
    ],
  ] as const)
    itIsRefused(`OmniASR with ${what}`, within('omniasr', says, 'audio_config'), names);
  itIsRefused(
    'Voxtral Realtime with tokens that are longer than their rows',
    { ...CLASSES.voxtral_realtime, audio_length_per_tok: 16 },
    /audio_length_per_tok must be twice downsample_factor \(4\), found 16/,
  );
  itIsRefused(
    'GLM-ASR with rows that make no whole tokens',
    within('glmasr', { max_position_embeddings: 1502 }, 'audio_config'),
    /max_position_embeddings must be a multiple of 4, found 1502/,
  );
  itIsRefused(
    'Qwen3-ASR with stretches of another length',
    within('qwen3_asr', { n_window: 100 }, 'audio_config'),
    /audio_config\.n_window must be from 49 to 52.*found 100/,
  );
  itIsRefused(
    'GLM-4.6V with other text',
    within('glm46v', { model_type: 'llama' }, 'text_config'),
    /text_config\.model_type must be one of glm4v_text, glm4v_moe_text, found "llama"/,
  );
  itIsRefused(
    'DeepSeek-VL2, which DeepSeek-OCR is called like',
    {
      ...CLASSES.deepseek_vl_v2,
      vision_config: { model_type: 'vision', layers: 27, patch_size: 14, width: 1152 },
    },
    /vision_config\.width/,
  );
  itIsRefused(
    'DeepSeek-OCR with latent attention',
    within('deepseek_vl_v2', { use_mla: true }, 'language_config'),
    /language_config\.use_mla must be false/,
  );
  itIsRefused(
    'DeepSeek-OCR 2 with a window among queries',
    {
      ...CLASSES.deepseek_ocr2,
      vision_config: {
        sam_config: { downsample_channels: [512] },
        encoder_config: { use_sliding_window: true },
      },
    },
    /downsample_channels must have 2 numbers, found 1.*use_sliding_window must be false/,
  );
  itIsRefused(
    'Nemotron 3 Nano Omni with frames that are pruned',
    { ...CLASSES.nemotron_h_omni, video_pruning_rate: 0.5, downsample_ratio: 0.25 },
    /downsample_ratio must be 0\.5.*video_pruning_rate must be 0/,
  );

  it('mean the same in published files as in those of transformers: DeepSeek-OCR 2', () => {
    const visionOf = (name: string) =>
      (routerOf(CLASSES[name] ?? {}).config as unknown as { vision: Record<'sam' | 'queries', Dict> }).vision;
    const [published, saved] = [visionOf('deepseek_vl_v2_second'), visionOf('deepseek_ocr2')];
    const { middle: _, ...sam } = published.sam;
    expect(saved.sam).to.deep.include(sam);
    expect(saved.queries).to.deep.include(published.queries);
  });
});
