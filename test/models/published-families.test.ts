import { expect } from 'chai';
import { DECODER_KINDS } from '../../src/graph/graph-kind.js';
import { specProblems } from '../../src/graph/nested-legality.js';
import { inputDescs } from '../../src/models/base/input-descs.js';
import { loadModels } from '../../src/models/get-model.js';
import { getRouter } from '../../src/router/index.js';
import { declaredWeights } from '../../src/weights/weights.js';
import { familyConfig } from '../oracle/families.js';
import { MINIMAX_M3_BLOCKS, MINIMAX_M3_TEXT } from './minimax-m3.js';
import { KNOWN } from './published-checks.js';

type Dict = Readonly<Record<string, unknown>>;

/** Hidden and intermediate size, layers, heads, heads of keys, vocabulary, positions. */
type Sizes = readonly [number, number, number, number, number, number, number];

const olmo3Layers = Array.from({ length: 64 }, (_, layer) =>
  layer % 4 === 3 ? 'full_attention' : 'sliding_attention',
);
const flintLayers = Array.from({ length: 49 }, (_, layer) =>
  layer < 2 || layer % 4 === 1 || layer === 48 ? 'full_attention' : 'sliding_attention',
);
const yarn = { rope_type: 'yarn', factor: 8, beta_fast: 32, beta_slow: 1 };
const alpha = {
  type: 'dynamic',
  alpha: 100_000,
  factor: 1,
  beta_fast: 32,
  beta_slow: 1,
  mscale: 1,
  mscale_all_dim: 1,
};
const hunyuanIds = { im_start_id: 4, im_end_id: 5, im_newline_id: 11, mask_init_id: 12, pad_id: 127_961 };
const hunyuanRest = {
  class_num: 0,
  add_classification_head: false,
  dense_list: [4096, 0],
  pool_type: 'last',
};
const factors = (largest: number) => Array.from({ length: 48 }, (_, i) => 1 + ((largest - 1) * i) / 47);

const olmoHybridLayers = Array.from({ length: 32 }, (_, layer) =>
  layer % 4 === 3 ? 'full_attention' : 'linear_attention',
);
const kimiAttends = [4, 8, 12, 16, 20, 24, 27];
const kimiDeltas = Array.from({ length: 27 }, (_, at) => at + 1).filter(
  (layer) => !kimiAttends.includes(layer),
);
/** In all but the first layer and every sixth. */
const mimoWindows = Array.from({ length: 48 }, (_, layer) => (layer === 0 || layer % 6 === 5 ? 0 : 1));
const lfm2Layers = Array.from({ length: 24 }, (_, layer) =>
  [2, 6, 10, 14, 18, 21].includes(layer) ? 'full_attention' : 'conv',
);
const zambaLayers = Array.from({ length: 54 }, (_, layer) =>
  [6, 12, 18, 24, 30, 36, 42, 47, 51].includes(layer) ? 'hybrid' : 'linear_attention',
);
const minimaxLayers = Array.from({ length: 80 }, (_, layer) =>
  layer % 8 === 7 ? 'full_attention' : 'linear_attention',
);
const mambaTraining = {
  initializer_range: 0.1,
  rescale_prenorm_residual: false,
  time_step_floor: 1e-4,
  time_step_init_scheme: 'random',
  time_step_max: 0.1,
  time_step_min: 0.001,
  time_step_scale: 1,
};
const nemotronMixers = {
  attention_bias: false,
  chunk_size: 128,
  conv_kernel: 4,
  eos_token_id: 2,
  expand: 2,
  hidden_dropout: 0,
  layer_norm_epsilon: 1e-5,
  mamba_hidden_act: 'silu',
  mamba_proj_bias: false,
  mlp_bias: false,
  mlp_hidden_act: 'relu2',
  n_groups: 8,
  num_logits_to_keep: 1,
  rescale_prenorm_residual: true,
  residual_in_fp32: false,
  sliding_window: null,
  ssm_state_size: 128,
  tie_word_embeddings: false,
  time_step_floor: 1e-4,
  time_step_max: 0.1,
  time_step_min: 0.001,
  use_bias: false,
  use_conv_bias: true,
  use_mamba_kernels: true,
};

/** What published files say beside their sizes and what all have, and a part of what that means. */
// biome-ignore format: one checkpoint a paragraph
const PUBLISHED: ReadonlyArray<readonly [name: string, family: string, sizes: Sizes, says: Dict, means: Dict]> = [
  ['OLMo-2-7B-Instruct', 'olmo2', [4096, 11_008, 32, 32, 32, 100_352, 4096],
    { attention_bias: false, eos_token_id: 100_257, pad_token_id: 100_277, rms_norm_eps: 1e-6, rope_scaling: null, rope_theta: 500_000, tie_word_embeddings: false },
    { headDim: 128, rmsNormEps: 1e-6, qkvBias: false }],
  ['Olmo-3.1-32B-Instruct', 'olmo3', [5120, 27_648, 64, 40, 8, 100_278, 65_536],
    { attention_bias: false, eos_token_id: 100_257, layer_types: olmo3Layers, rms_norm_eps: 1e-6, rope_theta: 500_000, sliding_window: 4096, tie_word_embeddings: false,
      rope_scaling: { ...yarn, attention_factor: 1.2079441541679836, original_max_position_embeddings: 8192 } },
    { headDim: 128, slidingWindows: olmo3Layers.map((type) => (type === 'full_attention' ? undefined : 4096)) }],
  ['EXAONE-4.0-32B', 'exaone4', [5120, 27_392, 64, 40, 8, 102_400, 131_072],
    { bos_token_id: 1, eos_token_id: 361, head_dim: 128, pad_token_id: 0, rms_norm_eps: 1e-5, rope_theta: 1_000_000, sliding_window: 4096, sliding_window_pattern: 'LLLG', tie_word_embeddings: false,
      layer_types: olmo3Layers, rope_scaling: { factor: 16, high_freq_factor: 4, low_freq_factor: 1, original_max_position_embeddings: 8192, rope_type: 'llama3' } },
    { isHybrid: true, slidingWindows: olmo3Layers.map((type) => (type === 'full_attention' ? undefined : 4096)) }],
  ['OLMo-1B-hf', 'olmo', [2048, 8192, 16, 16, 16, 50_304, 2048],
    { attention_bias: false, clip_qkv: null, eos_token_id: 50_279, pad_token_id: 1, rope_scaling: null, rope_theta: 10_000, tie_word_embeddings: true },
    { rmsNormEps: 1e-5, tieWordEmbeddings: true }],
  ['Phi-3-mini-4k-instruct', 'phi3', [3072, 8192, 32, 32, 32, 32_064, 4096],
    { attention_bias: false, bos_token_id: 1, eos_token_id: 32_000, embd_pdrop: 0, resid_pdrop: 0, original_max_position_embeddings: 4096, rms_norm_eps: 1e-5, rope_scaling: null, rope_theta: 10_000, sliding_window: 2047, tie_word_embeddings: false },
    { headDim: 96, slidingWindows: Array(32).fill(2047) }],
  ['Phi-4-mini-instruct, its rotary embedding', 'phi3', [3072, 8192, 32, 24, 8, 200_064, 131_072],
    { partial_rotary_factor: 0.75, original_max_position_embeddings: 4096, rms_norm_eps: 1e-5, rope_theta: 10_000, sliding_window: 262_144, tie_word_embeddings: true,
      rope_scaling: { type: 'longrope', short_factor: factors(1), long_factor: factors(64) } },
    { headDim: 128, tieWordEmbeddings: true }],
  ['phi-4', 'phi3', [5120, 17_920, 40, 40, 10, 100_352, 16_384],
    { attention_bias: false, original_max_position_embeddings: 16_384, rms_norm_eps: 1e-5, rope_scaling: null, rope_theta: 250_000, sliding_window: null, tie_word_embeddings: false },
    { headDim: 128, slidingWindows: Array(40).fill(undefined) }],
  ['starcoder2-15b', 'starcoder2', [6144, 24_576, 40, 48, 4, 49_152, 16_384],
    { hidden_act: 'gelu_pytorch_tanh', mlp_type: 'default', norm_epsilon: 1e-5, norm_type: 'layer_norm', rms_norm_eps: 1e-5, rope_theta: 100_000, sliding_window: 4096, tie_word_embeddings: false, use_bias: true },
    { headDim: 128, qkvBias: true, denseBias: true, mlpBias: true, hiddenAct: 'gelu_tanh' }],
  ['ERNIE-4.5-0.3B-PT', 'ernie4_5', [1024, 3072, 18, 16, 2, 103_424, 131_072],
    { head_dim: 128, rms_norm_eps: 1e-5, rope_scaling: null, rope_theta: 500_000, use_bias: false },
    { headDim: 128, tieWordEmbeddings: true, qkvBias: false }],
  ['Hunyuan-MT-7B', 'hunyuan_v1_dense', [4096, 14_336, 32, 32, 8, 128_256, 32_768],
    { ...hunyuanIds, ...hunyuanRest, attention_bias: false, attention_head_dim: 128, cla_share_factor: 2, head_dim: 128, mlp_bias: false, norm_type: 'rms', org_vocab_size: 290_943, rms_norm_eps: 1e-5, rope_scaling: alpha, rope_theta: 10_000, text_end_id: 7, text_start_id: 6, tie_word_embeddings: true, use_cla: false, use_qk_norm: true, use_rotary_pos_emb: true },
    { headDim: 128, tieWordEmbeddings: true }],
  ['MiMo-7B-Base', 'mimo', [4096, 11_008, 36, 32, 8, 151_680, 32_768],
    { attention_bias: true, head_dim: 128, max_window_layers: 32, num_nextn_predict_layers: 1, rms_norm_eps: 1e-5, rope_theta: 640_000, sliding_window: 32_768, tie_word_embeddings: false, use_mrope: false, use_sliding_window: false },
    { qkvBias: true, denseBias: false, slidingWindows: Array(36).fill(undefined) }],
  ['Granite with windows, the defaults of its class', 'granite_swa', [2560, 8192, 24, 20, 4, 100_352, 8192],
    { attention_bias: false, attention_multiplier: 1, bos_token_id: 100_257, embedding_multiplier: 1, eos_token_id: 100_257, layer_rope_theta: Array(24).fill(10_000), logits_scaling: 1, mlp_bias: false, pad_token_id: null, residual_multiplier: 1, rms_norm_eps: 1e-5, sliding_window: 128, tie_word_embeddings: true,
      layer_types: Array.from({ length: 24 }, (_, layer) => (layer % 4 === 0 ? 'full_attention' : 'sliding_attention')), rope_parameters: { rope_type: 'default', rope_theta: 10_000 } },
    { headDim: 128, tieWordEmbeddings: true, slidingWindows: Array.from({ length: 24 }, (_, layer) => (layer % 4 === 0 ? undefined : 128)) }],
  ['Granite with windows and experts, the defaults of its class', 'granitemoe_swa', [4096, 11_008, 32, 32, 32, 32_000, 2048],
    { attention_bias: false, attention_multiplier: 1, bos_token_id: 1, embedding_multiplier: 1, eos_token_id: 2, layer_rope_theta: Array.from({ length: 32 }, (_, layer) => (layer % 4 === 0 ? 0 : 10_000)), logits_scaling: 1, num_experts_per_tok: 2, num_local_experts: 8, output_router_logits: false, residual_multiplier: 1, rms_norm_eps: 1e-6,
      router_aux_loss_coef: 0.001, shared_intermediate_size: 0, sliding_window: 128, tie_word_embeddings: false, rope_parameters: { rope_type: 'default', rope_theta: 10_000 } },
    { headDim: 128, numExperts: 8, sharedWidth: 0, slidingWindows: Array.from({ length: 32 }, (_, layer) => (layer % 4 === 0 ? undefined : 128)) }],
  ['Flint, the defaults of its class', 'flint', [2048, 6144, 49, 32, 4, 150_144, 262_144],
    { attention_bias: false, attention_dropout: 0, decoder_sparse_step: 1, head_dim: 128, layer_types: flintLayers, mlp_only_layers: [0, 1], moe_intermediate_size: 512, norm_topk_prob: true, num_experts: 256, num_experts_per_tok: 6, output_router_logits: false, rms_norm_eps: 1e-6, rope_parameters: { rope_type: 'default', rope_theta: 10_000 },
      router_aux_loss_coef: 0.0005, shared_expert_intermediate_size: 1024, sliding_window: 513, tie_word_embeddings: false },
    { headDim: 128, sharedIntermediateSize: 1024, sparseLayers: flintLayers.map((_, layer) => layer > 1), slidingWindows: flintLayers.map((type) => (type === 'full_attention' ? undefined : 513)) }],
  ['Kolibri-1, the defaults of its class', 'kolibri1', [2560, 512, 50, 48, 4, 128_000, 262_144],
    { attention_dropout: 0, head_dim: 128, moe_intermediate_size: 512, norm_topk_prob: false, num_experts: 384, num_experts_per_tok: 6, output_router_logits: false, rms_norm_eps: 1e-6, rope_parameters: { rope_type: 'default', rope_theta: 10_000 },
      shared_expert_intermediate_size: 512, sliding_window: 513, use_cache: true },
    { headDim: 128, numExperts: 384, moeIntermediateSize: 512, slidingWindows: Array.from({ length: 50 }, (_, layer) => (layer % 5 === 4 ? undefined : 513)) }],
  ['Flint without lists of layers', 'flint', [2048, 6144, 49, 32, 4, 150_144, 262_144], {},
    { sparseLayers: flintLayers.map((_, layer) => layer > 1), slidingWindows: flintLayers.map((type) => (type === 'full_attention' ? undefined : 513)) }],
  ['A.X K1, the defaults of its class', 'axk1', [7168, 18_432, 61, 64, 64, 163_840, 32_768],
    { attention_bias: false, attention_dropout: 0, bos_token_id: 163_691, eos_token_id: 163_691, head_dim: 64, kv_lora_rank: 512, mlp_layer_types: Array.from({ length: 61 }, (_, layer) => (layer === 0 ? 'dense' : 'sparse')), moe_intermediate_size: 2048, n_group: 8, n_routed_experts: 192, n_shared_experts: 1, norm_topk_prob: true, num_experts_per_tok: 8,
      output_router_logits: false, pretraining_tp: 1, q_lora_rank: 1536, qk_head_dim: 192, qk_nope_head_dim: 128, qk_rope_head_dim: 64, rms_norm_eps: 1e-6, rope_interleave: true, rope_parameters: { rope_theta: 10_000, rope_type: 'default' }, routed_scaling_factor: 2.5, tie_word_embeddings: false, topk_group: 4, v_head_dim: 128 },
    { headDim: 64, numExperts: 192, expertGroups: { count: 8, kept: 4, scored: 2 }, sparseLayers: Array.from({ length: 61 }, (_, layer) => layer > 0) }],
  // Keys and values as serving engines hold them against in their tests; the sizes are defaults of the class, too.
  ['MiMo-V2-Flash', 'mimo_v2_flash', [4096, 16_384, 48, 64, 4, 152_576, 262_144],
    { add_full_attention_sink_bias: false, add_swa_attention_sink_bias: true, attention_bias: false, attention_chunk_size: 128, attention_value_scale: 0.707, head_dim: 192, hybrid_block_size: null, hybrid_layer_pattern: mimoWindows, layernorm_epsilon: 1e-5,
      moe_intermediate_size: 2048, moe_layer_freq: mimoWindows.map((_, layer) => (layer === 0 ? 0 : 1)), n_group: 1, n_routed_experts: 256, n_shared_experts: null, norm_topk_prob: true, num_experts_per_tok: 8, partial_rotary_factor: 0.334, rope_theta: 5_000_000, routed_scaling_factor: null, scoring_func: 'sigmoid', sliding_window: 128, sliding_window_size: 128,
      swa_head_dim: 192, swa_num_attention_heads: 64, swa_num_key_value_heads: 8, swa_rope_theta: 10_000, swa_v_head_dim: 128, tie_word_embeddings: false, topk_group: 1, topk_method: 'noaux_tc', v_head_dim: 128 },
    { headDim: 192, valueHeadDim: 128, slidingKeyValueHeads: 8, valueScale: 0.707, routedScalingFactor: 1, slidingWindows: mimoWindows.map((slides) => (slides ? 129 : undefined)), sparseLayers: mimoWindows.map((_, layer) => layer !== 0) }],
  ['NVIDIA-Nemotron-3-Nano-30B-A3B-BF16', 'nemotron_h', [2688, 1856, 52, 32, 2, 131_072, 262_144],
    { ...nemotronMixers, hidden_act: null, head_dim: 128, hybrid_override_pattern: 'MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME', mamba_head_dim: 64, mamba_num_heads: 64, mamba_ssm_cache_dtype: 'float32',
      moe_intermediate_size: 1856, moe_shared_expert_intermediate_size: 3712, n_group: 1, n_routed_experts: 128, n_shared_experts: 1, norm_eps: 1e-5, norm_topk_prob: true, num_experts_per_tok: 6, partial_rotary_factor: 1, rope_theta: 10_000, routed_scaling_factor: 2.5, topk_group: 1 },
    { mambaHeads: 64, mambaHeadSize: 64, mambaGroups: 8, stepLimits: [0, 3e38], numExperts: 128, sharedIntermediateSize: 3712, numHiddenLayers: 52 }],
  ['NVIDIA-Nemotron-Nano-9B-v2', 'nemotron_h', [4480, 15_680, 56, 40, 8, 131_072, 131_072],
    { ...nemotronMixers, hidden_act: null, head_dim: 128, hybrid_override_pattern: 'M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-', mamba_head_dim: 80, mamba_num_heads: 128, rms_norm_eps: 1e-5, time_step_limit: [0, Number.POSITIVE_INFINITY], time_step_rank: 256 },
    { mambaHeadSize: 80, stepLimits: [0, 3e38], hiddenAct: 'relu2', numHiddenLayers: 56 }],
  ['Falcon-H1-0.5B-Instruct', 'falcon_h1', [1024, 2048, 36, 8, 2, 32_784, 16_384],
    { attention_bias: false, attention_in_multiplier: 1, attention_out_multiplier: 0.9375, attn_layer_indices: null, embedding_multiplier: 5.656854249492381, eos_token_id: 11, head_dim: 64, key_multiplier: 0.39062499999999994, lm_head_multiplier: 0.0390625, mlp_bias: false, mlp_multipliers: [0.8838834764831844, 0.5859375],
      mamba_chunk_size: 128, mamba_conv_bias: true, mamba_d_conv: 4, mamba_d_head: 64, mamba_d_ssm: 1536, mamba_d_state: 128, mamba_expand: 2, mamba_n_groups: 1, mamba_n_heads: 24, mamba_norm_before_gate: false, mamba_proj_bias: false, mamba_rms_norm: false, mamba_use_mlp: true, num_logits_to_keep: 1, pad_token_id: 0, projectors_bias: false,
      rms_norm_eps: 1e-5, rope_scaling: null, rope_theta: 1e11, ssm_in_multiplier: 1.25, ssm_multipliers: [0.3535533905932738, 0.25, 0.3535533905932738, 0.5, 0.3535533905932738], ssm_out_multiplier: 0.23570226039551587, tie_word_embeddings: false },
    { headDim: 64, mambaHeadSize: 64, hasMambaNorm: false }],
  ['Lara 4 Mini, the defaults of its class', 'lara_mini', [1024, 512, 34, 16, 4, 151_936, 131_072],
    { attention_bias: false, attention_dropout: 0, eos_token_id: 151_643, head_dim: 128, linear_conv_kernel_dim: 4, linear_key_head_dim: 128, linear_num_key_heads: 8, linear_num_value_heads: 16, linear_value_head_dim: 128,
      moe_intermediate_size: 512, norm_topk_prob: true, num_experts: 128, num_experts_per_tok: 4, output_router_logits: false, rms_norm_eps: 1e-6, rope_parameters: { rope_type: 'default', rope_theta: 10_000 },
      router_aux_loss_coef: 0.001, shared_expert_intermediate_size: 512, sliding_window: 512, tie_word_embeddings: true },
    { headDim: 128, keyHeads: 8, valueHeads: 16, numExperts: 128, slidingWindows: Array.from({ length: 34 }, (_, layer) => (layer % 5 === 1 || layer % 5 === 4 ? 512 : undefined)) }],
  ['HRM-Text, the defaults of its class', 'hrm_text', [1536, 4096, 16, 12, 12, 151_808, 2048],
    { H_cycles: 2, L_bp_cycles: [2], L_cycles: 3, attention_bias: false, attention_dropout: 0, embedding_scale: null, head_dim: 128, initializer_range: 0.02, mlp_bias: false, prefix_lm: true, rms_norm_eps: 1e-6,
      rope_parameters: { rope_type: 'default', rope_theta: 10_000 } },
    { numHiddenLayers: 128, highCycles: 2, lowCycles: 3, embeddingScale: 50, headDim: 128 }],
  ['Olmo-Hybrid-7B', 'olmo_hybrid', [3840, 11_008, 32, 30, 30, 100_352, 65_536],
    { attention_bias: false, eos_token_id: 100_257, layer_types: olmoHybridLayers, linear_a_log_max: 16, linear_a_log_min: 0, linear_allow_neg_eigval: true, linear_conv_kernel_dim: 4, linear_dt_init_floor: 1e-4, linear_dt_max: 0.1, linear_dt_min: 0.001, linear_key_head_dim: 96, linear_num_key_heads: 30, linear_num_value_heads: 30, linear_value_head_dim: 192, pad_token_id: 100_277, rms_norm_eps: 1e-6,
      rope_parameters: { rope_theta: null, rope_type: 'default' }, tie_word_embeddings: false },
    { headDim: 128, keySize: 96, valueSize: 192, rope: undefined, linearLayers: olmoHybridLayers.map((type) => type === 'linear_attention') }],
  ['Kimi-Linear-48B-A3B-Instruct', 'kimi_linear', [2304, 9216, 27, 32, 32, 163_840, 0],
    { bos_token_id: 163_584, dtype: 'bfloat16', eos_token_id: 163_586, first_k_dense_replace: 1, head_dim: 72, kv_lora_rank: 512, max_position_embeddings: null, mla_use_nope: true, model_max_length: 1_048_576, moe_intermediate_size: 1024, moe_layer_freq: 1, moe_renormalize: true, moe_router_activation_func: 'sigmoid', num_expert_group: 1, num_experts: 256, num_experts_per_token: 8, num_nextn_predict_layers: 0, num_shared_experts: 1, pad_token_id: 163_839,
      linear_attn_config: { full_attn_layers: kimiAttends, head_dim: 128, kda_layers: kimiDeltas, num_heads: 32, short_conv_kernel_size: 4 },
      q_lora_rank: null, qk_nope_head_dim: 128, qk_rope_head_dim: 64, rms_norm_eps: 1e-5, rope_scaling: null, rope_theta: 10_000, routed_scaling_factor: 2.446, tie_word_embeddings: false, topk_group: 1, use_grouped_topk: true, v_head_dim: 128 },
    { headDim: 64, linearHeads: 32, linearHeadSize: 128, qLoraRank: undefined, attends: Array.from({ length: 27 }, (_, layer) => kimiAttends.includes(layer + 1)) }],
  // Keys and values as engines that serve it, and tools that convert it, hold them against in their tests; sizes are defaults of the class, too.
  ['Ling-3.0-flash', 'bailing_hybrid', [2560, 6144, 42, 32, 32, 157_184, 262_144],
    { architectures: ['BailingMoeV3ForCausalLM'], eos_token_id: 156_895, expert_swiglu_limit_list: Array.from({ length: 42 }, (_, layer) => (layer > 34 ? 4 : 0)), first_k_dense_replace: 2, gated_attention_proj_granularity_type: 'head_wise', head_dim: 128, kda_lower_bound: -5, kda_safe_gate: true, kv_lora_rank: 512, layer_group_size: 6,
      moe_intermediate_size: 768, moe_shared_expert_intermediate_size: 768, n_group: 8, no_kda_lora: true, norm_topk_prob: true, num_experts: 512, num_experts_per_tok: 8, num_nextn_predict_layers: 1, num_shared_experts: 1, pad_token_id: 156_892, partial_rotary_factor: 0.5, q_lora_rank: null, qk_nope_head_dim: 128, qk_rope_head_dim: 64, rms_norm_eps: 1e-6,
      rope_interleave: true, rope_theta: 6_000_000, rotary_dim: 64, routed_scaling_factor: 2.5, share_expert_swiglu_limit_list: Array.from({ length: 42 }, (_, layer) => (layer > 39 ? 7 : layer > 33 ? 5 : 0)), short_conv_kernel_size: 4, tie_word_embeddings: false, topk_group: 4, v_head_dim: 128 },
    { headDim: 64, linearHeadSize: 128, decayBound: -5, qLoraRank: undefined, expertGroups: { count: 8, kept: 4, scored: 2 }, clamps: Array.from({ length: 42 }, (_, layer) => (layer > 34 ? { limit: 4, clampForm: 'activated' } : undefined)), attends: Array.from({ length: 42 }, (_, layer) => layer % 6 === 5) }],
  // The text of Qwen/Qwen3.8-Flash-Next, as tests of engines that serve it quote its config.json.
  ['Qwen3.8-Flash-Next, its text', 'qwen4_exp_text', [2560, 0, 48, 24, 2, 248_320, 262_144],
    { intermediate_size: null, attention_bias: false, eos_token_id: 248_044, full_attention_interval: 4, hc_count: 4, hc_lowrank: 320, head_dim: 256, heads_per_ngram: 8, indexer_budget: 2048, indexer_compress_ratio: 4, indexer_head_dim: 128, indexer_kv_heads: 1, indexer_n_heads: 4,
      layer_types: Array.from({ length: 48 }, (_, layer) => (layer % 4 === 3 ? 'full_attention' : 'linear_attention')), linear_conv_kernel_dim: 4, linear_key_head_dim: 128, linear_num_key_heads: 16, linear_num_value_heads: 48, linear_value_head_dim: 128, make_ngram_vocab_size_divisible_by: 128, mamba_ssm_dtype: 'float32', moe_intermediate_size: 640,
      mtp: { hybrid: true, num_hidden_layers: 1, layer_types: ['full_attention'] }, mtp_num_hidden_layers: 1, mtp_use_dedicated_embeddings: false, ngram_size: 3, ngram_vocab_size_base: 20_000_000, num_experts: 512, num_experts_per_tok: 10, output_gate_type: 'sigmoid', partial_rotary_factor: 0.25, ple_conv_kernel_size: 4, ple_embed_dim: 2560, ple_layer_ids: [2], rms_norm_eps: 1e-6,
      rope_parameters: { mrope_interleaved: true, mrope_section: [11, 11, 10], partial_rotary_factor: 0.25, rope_theta: 10_000_000, rope_type: 'default' }, seed: 1234, shared_expert_intermediate_size: 640, split_ngram_parts: 128, tie_word_embeddings: false },
    { headDim: 256, maxPositionEmbeddings: 2051, ngramLayers: [1], ngramShards: 128, ngramSeparator: 248_044, outputGate: 'sigmoid', streams: 4, linearLayers: Array.from({ length: 48 }, (_, layer) => layer % 4 !== 3) }],
  ['DeepSeek-V3.2', 'deepseek_v32', [7168, 18_432, 61, 128, 128, 129_280, 163_840],
    { attention_bias: false, bos_token_id: 0, eos_token_id: 1, ep_size: 1, first_k_dense_replace: 3, index_head_dim: 128, index_n_heads: 64, index_topk: 2048, kv_lora_rank: 512, moe_intermediate_size: 2048, moe_layer_freq: 1, n_group: 8, n_routed_experts: 256, n_shared_experts: 1, norm_topk_prob: true, num_experts_per_tok: 8,
      num_nextn_predict_layers: 1, q_lora_rank: 1536, qk_nope_head_dim: 128, qk_rope_head_dim: 64, rms_norm_eps: 1e-6, rope_scaling: { beta_fast: 32, beta_slow: 1, factor: 40, mscale: 1, mscale_all_dim: 1, original_max_position_embeddings: 4096, type: 'yarn' }, rope_theta: 10_000, routed_scaling_factor: 2.5,
      scoring_func: 'sigmoid', tie_word_embeddings: false, topk_group: 4, topk_method: 'noaux_tc', v_head_dim: 128 },
    { headDim: 64, indexHeads: 64, indexHeadDim: 128, indexTopK: 2048, indexInterleaved: false, indexOwners: Array.from({ length: 61 }, (_, layer) => layer), expertGroups: { count: 8, kept: 4, scored: 2 } }],
  // As readers of its config.json quote it; values that they leave out are the defaults of its class.
  ['DeepSeek-V4-Flash', 'deepseek_v4', [4096, 0, 43, 64, 1, 129_280, 1_048_576],
    { attention_bias: false, bos_token_id: 0, compress_ratios: [0, 0, ...Array.from({ length: 41 }, (_, layer) => (layer % 2 === 0 ? 4 : 128)), 0], compress_rope_theta: 160_000, eos_token_id: 1, expert_dtype: 'fp4', hc_eps: 1e-6, hc_mult: 4, hc_sinkhorn_iters: 20, head_dim: 512, index_head_dim: 128, index_n_heads: 64,
      index_topk: 512, intermediate_size: null, moe_intermediate_size: 2048, n_routed_experts: 256, n_shared_experts: 1, norm_topk_prob: true, num_experts_per_tok: 6, num_hash_layers: 3, num_nextn_predict_layers: 1, o_groups: 8, o_lora_rank: 1024, q_lora_rank: 1024, qk_rope_head_dim: 64, rms_norm_eps: 1e-6,
      rope_scaling: { beta_fast: 32, beta_slow: 1, factor: 16, original_max_position_embeddings: 65_536, type: 'yarn' }, rope_theta: 10_000, routed_scaling_factor: 1.5, scoring_func: 'sqrtsoftplus', sliding_window: 128, swiglu_limit: 10, tie_word_embeddings: false, topk_method: 'noaux_tc' },
    { headDim: 512, rotaryDim: 64, windowSize: 128, streams: 4, tokensPerEntry: { none: 0, chosen: 4, all: 128 }, entryUses: Array.from({ length: 43 }, (_, layer) => (layer < 2 ? 'none' : layer % 2 === 0 ? 'chosen' : 'all')), hashLayers: Array.from({ length: 43 }, (_, layer) => layer < 3) }],
  ['GLM-5', 'glm_moe_dsa', [6144, 12_288, 78, 64, 64, 154_880, 202_752],
    { attention_bias: false, dtype: 'bfloat16', eos_token_id: [154_820, 154_827, 154_829], ep_size: 1, first_k_dense_replace: 3, head_dim: 64, index_head_dim: 128, index_n_heads: 32, index_topk: 2048, indexer_rope_interleave: true, kv_lora_rank: 512, moe_intermediate_size: 2048, moe_layer_freq: 1, n_group: 1, n_routed_experts: 256,
      n_shared_experts: 1, norm_topk_prob: true, num_experts_per_tok: 8, num_nextn_predict_layers: 1, pad_token_id: 154_820, pretraining_tp: 1, q_lora_rank: 2048, qk_head_dim: 256, qk_nope_head_dim: 192, qk_rope_head_dim: 64, rms_norm_eps: 1e-5, rope_interleave: true, rope_parameters: { rope_theta: 1_000_000, rope_type: 'default' },
      routed_scaling_factor: 2.5, scoring_func: 'sigmoid', tie_word_embeddings: false, topk_group: 1, topk_method: 'noaux_tc', v_head_dim: 256 },
    { headDim: 64, vHeadDim: 256, indexHeads: 32, indexTopK: 2048, indexInterleaved: true, expertGroups: undefined }],
  ['GLM-5.1 with types of indexers', 'glm_moe_dsa', [6144, 12_288, 6, 64, 64, 154_880, 202_752],
    { attention_bias: false, bos_token_id: 0, index_head_dim: 128, index_n_heads: 32, index_topk: 2048, indexer_rope_interleave: true, indexer_types: ['full', 'full', 'shared', 'shared', 'full', 'shared'], kv_lora_rank: 512, layer_types: Array(6).fill('indexed_attention'), mlp_layer_types: ['dense', 'dense', 'dense', 'sparse', 'sparse', 'sparse'],
      moe_intermediate_size: 2048, n_routed_experts: 256, num_experts_per_tok: 8, q_lora_rank: 2048, qk_nope_head_dim: 192, qk_rope_head_dim: 64, rope_parameters: { rope_theta: 1_000_000, rope_type: 'default' }, v_head_dim: 256 },
    { indexOwners: [0, 1, 1, 1, 4, 4], sparseLayers: [false, false, false, true, true, true] }],
  ['LFM2-8B-A1B', 'lfm2_moe', [2048, 7168, 24, 32, 8, 65_536, 128_000],
    { hidden_act: null, bos_token_id: 1, conv_L_cache: 3, conv_bias: false, eos_token_id: 7, moe_intermediate_size: 1792, norm_eps: 1e-5, norm_topk_prob: true, num_dense_layers: 2, num_experts: 32, num_experts_per_tok: 4, pad_token_id: 0, rope_theta: 1_000_000, routed_scaling_factor: 1, use_expert_bias: true,
      layer_types: lfm2Layers },
    { headDim: 64, numExperts: 32, tieWordEmbeddings: true, attends: lfm2Layers.map((type) => type !== 'conv') }],
  ['Bamba-9B', 'bamba', [4096, 14_336, 32, 32, 8, 128_256, 4096],
    { attention_bias: false, attn_layer_indices: [9, 18, 27], attn_rotary_emb: 64, eos_token_id: 128_001, mamba_chunk_size: 256, mamba_conv_bias: true, mamba_d_conv: 4, mamba_d_head: 64, mamba_d_state: 128, mamba_expand: 2, mamba_n_groups: 1, mamba_n_heads: 128, mamba_proj_bias: false, num_logits_to_keep: 1, rms_norm_eps: 1e-5, rope_scaling: null, rope_theta: 10_000, tie_word_embeddings: false, use_mamba_kernels: true },
    { headDim: 128, mambaHeadSize: 64, attendingLayers: [9, 18, 27] }],
  ['mamba2-780m-hf', 'mamba2', [1536, 0, 48, 0, 0, 50_288, 0],
    { chunk_size: 256, conv_kernel: 4, expand: 2, head_dim: 64, intermediate_size: null, layer_norm_epsilon: 1e-5, max_position_embeddings: null, n_groups: 1, num_attention_heads: null, num_heads: 48, num_key_value_heads: null, residual_in_fp32: true, rms_norm: true, state_size: 128, tie_word_embeddings: true, time_step_limit: [0, 'Infinity'], use_bias: false, use_conv_bias: true },
    { mambaHeads: 48, stepLimits: [0, 3e38], maxPositionEmbeddings: 262_144 }],
  // These files, and that of MiniMax-Text-01-hf, as tests and model code of public repositories quote them.
  ['mamba-130m-hf', 'mamba', [768, 1536, 24, 0, 0, 50_280, 0],
    { ...mambaTraining, bos_token_id: 0, conv_kernel: 4, d_inner: 1536, d_model: 768, eos_token_id: 0, expand: 2, fused_add_norm: true, layer_norm_epsilon: 1e-5, max_position_embeddings: null, n_layer: 24, num_attention_heads: null, num_key_value_heads: null, pad_token_id: 0, pad_vocab_size_multiple: 8, residual_in_fp32: true, rms_norm: true,
      ssm_cfg: {}, state_size: 16, time_step_rank: 48, torch_dtype: 'float32', use_bias: false, use_conv_bias: true },
    { mambaWidth: 1536, stepRank: 48, convTaps: 4, convBias: true, tieWordEmbeddings: true, maxPositionEmbeddings: 262_144 }],
  ['falcon-mamba-7b, whose expand is wrong', 'falcon_mamba', [4096, 8192, 64, 0, 0, 65_024, 0],
    { ...mambaTraining, bos_token_id: 0, conv_kernel: 4, eos_token_id: 11, expand: 16, layer_norm_epsilon: 1e-5, max_position_embeddings: null, num_attention_heads: null, num_key_value_heads: null, pad_token_id: 11, residual_in_fp32: true, state_size: 16, tie_word_embeddings: false, time_step_rank: 256, use_bias: false, use_conv_bias: true },
    { mambaWidth: 8192, stepRank: 256, scanNormEps: 1e-6, tieWordEmbeddings: false }],
  ['Jamba-v0.1', 'jamba', [4096, 14_336, 32, 32, 8, 65_536, 262_144],
    { attn_layer_offset: 4, attn_layer_period: 8, bos_token_id: 1, eos_token_id: 2, expert_layer_offset: 1, expert_layer_period: 2, mamba_conv_bias: true, mamba_d_conv: 4, mamba_d_state: 16, mamba_dt_rank: 256, mamba_expand: 2, mamba_proj_bias: false, num_experts: 16, num_experts_per_tok: 2, num_logits_to_keep: 1,
      output_router_logits: false, pad_token_id: 0, rms_norm_eps: 1e-6, router_aux_loss_coef: 0.001, sliding_window: null, tie_word_embeddings: false, use_mamba_kernels: true },
    { headDim: 128, mambaWidth: 8192, stepRank: 256, numExperts: 16, normTopkProb: false, attends: Array.from({ length: 32 }, (_, layer) => layer % 8 === 4), sparseLayers: Array.from({ length: 32 }, (_, layer) => layer % 2 === 1) }],
  ['recurrentgemma-2b', 'recurrent_gemma', [2560, 15_360, 26, 10, 1, 256_000, 0],
    { hidden_act: null, max_position_embeddings: null, _block_types: ['recurrent', 'recurrent', 'attention'], attention_bias: false, attention_window_size: 2048, conv1d_width: 4, embeddings_scale_by_sqrt_dim: true, head_dim: 256, hidden_activation: 'gelu_pytorch_tanh',
      logits_soft_cap: 30, lru_width: 2560, partial_rotary_factor: 0.5, rms_norm_eps: 1e-6, rope_theta: 10_000, bos_token_id: 2, eos_token_id: 1, pad_token_id: 0, w_init_variance_scale: 0.01, final_w_init_variance_scale: 0.076923 },
    { headDim: 256, intermediateSize: 7680, lruWidth: 2560, convTaps: 4, logitSoftcap: 30, tieWordEmbeddings: true, attends: Array.from({ length: 26 }, (_, layer) => layer % 3 === 2) }],
  ['DiffLlama, the defaults of its class', 'diffllama', [2048, 8192, 16, 32, 32, 32_000, 2048],
    { attention_bias: false, bos_token_id: 1, eos_token_id: 2, lambda_std_dev: 0.1, pad_token_id: null, rms_norm_eps: 1e-5, rope_parameters: { rope_type: 'default', rope_theta: 10_000 }, tie_word_embeddings: false },
    { headDim: 64, numKeyValueHeads: 32, rmsNormEps: 1e-5 }],
  ['JetMoE, the defaults of its class', 'jetmoe', [2048, 5632, 12, 32, 16, 32_000, 4096],
    { hidden_act: null, activation_function: 'silu', aux_loss_coef: 0.01, bos_token_id: 1, eos_token_id: 2, kv_channels: 128, num_experts_per_tok: 2, num_local_experts: 8, output_router_logits: false, pad_token_id: null, rms_norm_eps: 1e-6, rope_parameters: { rope_type: 'default', rope_theta: 10_000 }, tie_word_embeddings: true },
    { headDim: 128, numAttentionHeads: 32, numKeyValueHeads: 16, numExperts: 8, moeIntermediateSize: 5632 }],
  ['Zamba, the defaults of its class', 'zamba', [3712, 14_848, 76, 16, 16, 32_000, 4096],
    { attention_head_dim: 464, attention_hidden_size: 7424, attn_layer_offset: 4, attn_layer_period: 6, bos_token_id: 1, eos_token_id: 2, hidden_act: 'gelu', hidden_mamba_act: 'silu', mamba_conv_bias: true, mamba_d_conv: 4, mamba_d_state: 16, mamba_dt_rank: 'auto', mamba_expand: 2,
      mamba_proj_bias: false, n_mamba_heads: 2, num_logits_to_keep: 1, pad_token_id: 0, rms_norm_eps: 1e-5, tie_word_embeddings: true, time_step_floor: 1e-4, time_step_max: 0.1, time_step_min: 0.001, use_associative_scan: true, use_mamba_kernels: true },
    { headDim: 464, mambaWidth: 7424, mambaHeads: 2, stepRank: 232, isHybrid: Array.from({ length: 76 }, (_, layer) => layer === 2 || (layer > 2 && (layer - 3) % 6 === 4)) }],
  ['GPT-NeoX-Japanese, the defaults of its class', 'gpt_neox_japanese', [2560, 0, 32, 32, 0, 32_000, 2048],
    { intermediate_size: null, num_key_value_heads: null, hidden_act: 'gelu', hidden_dropout: 0, intermediate_multiple_size: 4, layer_norm_eps: 1e-5, bos_token_id: 31_996, eos_token_id: 31_999, rotary_emb_base: 10_000, rotary_pct: 1, tie_word_embeddings: true },
    { headDim: 80, intermediateSize: 10_240, layerNormEps: 1e-5 }],
  ['MiniMax-Text-01-hf', 'minimax', [6144, 9216, 80, 64, 8, 200_064, 10_240_000],
    { full_attn_alpha_factor: 3.5565588200778455, full_attn_beta_factor: 1, head_dim: 128, layer_types: minimaxLayers, linear_attn_alpha_factor: 3.5565588200778455, linear_attn_beta_factor: 1, mlp_alpha_factor: 3.5565588200778455, mlp_beta_factor: 1, num_experts_per_tok: 2, num_local_experts: 32, postnorm: true, rms_norm_eps: 1e-5, rope_theta: 10_000_000, rotary_dim: 64,
      shared_intermediate_size: 0, shared_moe_mode: 'sigmoid', sliding_window: null, tie_word_embeddings: false },
    { headDim: 128, numExperts: 32, mlpAlpha: 3.5565588200778455, attends: minimaxLayers.map((type) => type === 'full_attention') }],
  ['MiniMax-M3, its text', 'minimax_m3_vl_text', [6144, 3072, 60, 64, 4, 200_064, 1_048_576], MINIMAX_M3_TEXT,
    { headDim: 128, numExperts: 128, moeIntermediateSize: 3072, denseWidth: 12_288, routedScalingFactor: 2, indexBlockSize: 128, indexTopBlocks: 16, indexLocalBlocks: 1, blockLayers: MINIMAX_M3_BLOCKS.map((mark) => mark === 1), sparseLayers: MINIMAX_M3_BLOCKS.map((mark) => mark === 1) }],
  ['LFM2-1.2B', 'lfm2', [2048, 0, 16, 32, 8, 65_536, 128_000],
    { hidden_act: null, intermediate_size: null, attention_dropout: null, block_auto_adjust_ff_dim: true, block_dim: 2048, block_ff_dim: 12_288, block_ffn_dim_multiplier: 1, block_mlp_init_scale: 1, block_multiple_of: 256, block_norm_eps: 1e-5, block_out_init_scale: 1, block_use_swiglu: true, block_use_xavier_init: true,
      bos_token_id: 1, conv_L_cache: 3, conv_bias: false, conv_dim: 2048, conv_dim_out: 2048, conv_use_xavier_init: true, eos_token_id: 7, full_attn_idxs: [2, 5, 8, 10, 12, 14], norm_eps: 1e-5, num_heads: 32, pad_token_id: 0, rope_theta: 1_000_000, use_pos_enc: true },
    { headDim: 64, intermediateSize: 8192, convTaps: 3, tieWordEmbeddings: true, attends: Array.from({ length: 16 }, (_, layer) => [2, 5, 8, 10, 12, 14].includes(layer)) }],
  ['Qwen3-Next-80B-A3B-Instruct', 'qwen3_next', [2048, 5120, 48, 16, 2, 151_936, 262_144],
    { attention_bias: false, bos_token_id: 151_643, decoder_sparse_step: 1, eos_token_id: 151_645, full_attention_interval: 4, head_dim: 256, linear_conv_kernel_dim: 4, linear_key_head_dim: 128, linear_num_key_heads: 16, linear_num_value_heads: 32, linear_value_head_dim: 128, mlp_only_layers: [],
      moe_intermediate_size: 512, norm_topk_prob: true, num_experts: 512, num_experts_per_tok: 10, output_router_logits: false, partial_rotary_factor: 0.25, rms_norm_eps: 1e-6, rope_scaling: null, rope_theta: 10_000_000, router_aux_loss_coef: 0.001, shared_expert_intermediate_size: 512, tie_word_embeddings: false, use_sliding_window: false },
    { headDim: 256, keyHeads: 16, valueHeads: 32, numExperts: 512, linearLayers: olmo3Layers.slice(0, 48).map((type) => type !== 'full_attention') }],
  ['granite-4.0-h-tiny', 'granitemoehybrid', [1536, 512, 40, 12, 4, 100_352, 131_072],
    { attention_bias: false, attention_multiplier: 0.0078125, bos_token_id: 100_257, embedding_multiplier: 12, eos_token_id: 100_257, layer_types: Array.from({ length: 40 }, (_, layer) => (layer % 10 === 5 ? 'attention' : 'mamba')), logits_scaling: 6,
      mamba_chunk_size: 256, mamba_conv_bias: true, mamba_d_conv: 4, mamba_d_head: 64, mamba_d_state: 128, mamba_expand: 2, mamba_n_groups: 1, mamba_n_heads: 48, mamba_proj_bias: false, normalization_function: 'rmsnorm', num_experts_per_tok: 6, num_local_experts: 64, output_router_logits: false, pad_token_id: 100_256,
      position_embedding_type: 'nope', residual_multiplier: 0.22, rms_norm_eps: 1e-5, rope_scaling: null, rope_theta: 10_000, router_aux_loss_coef: 0.01, shared_intermediate_size: 1024, tie_word_embeddings: true },
    { headDim: 128, rope: undefined, mambaHeads: 48, sharedWidth: 1024, numExperts: 64, mixesByState: Array.from({ length: 40 }, (_, layer) => layer % 10 !== 5) }],
  ['gemma-3n-E2B-it, its text', 'gemma3n_text', [2048, 8192, 30, 8, 2, 262_400, 32_768],
    { hidden_act: null, activation_sparsity_pattern: Array.from({ length: 30 }, (_, layer) => (layer < 10 ? 0.95 : 0)), altup_active_idx: 0, altup_coef_clip: 120, altup_correct_scale: true, altup_lr_multiplier: 1, altup_num_inputs: 4, attention_bias: false, final_logit_softcapping: 30, head_dim: 256, hidden_activation: 'gelu_pytorch_tanh',
      hidden_size_per_layer_input: 256, intermediate_size: Array.from({ length: 30 }, () => 8192), laurel_rank: 64, num_kv_shared_layers: 10, query_pre_attn_scalar: 256, rms_norm_eps: 1e-6, rope_local_base_freq: 10_000, rope_scaling: null, rope_theta: 1_000_000, sliding_window: 512, vocab_size_per_layer_input: 262_144, tie_word_embeddings: true,
      layer_types: Array.from({ length: 30 }, (_, layer) => (layer % 5 === 4 ? 'full_attention' : 'sliding_attention')) },
    { headDim: 256, borrowingLayers: 10, perLayerSize: 256, streams: 4, activeStream: 0, laurelRank: 64, intermediateSize: 8192, logitSoftcap: 30, closedGates: Array.from({ length: 30 }, (_, layer) => (layer < 10 ? 0.95 : 0)) }],
  ['Zamba2, the defaults of its class', 'zamba2', [2560, 0, 54, 32, 0, 32_000, 4096],
    { intermediate_size: null, adapter_rank: 128, add_bias_linear: false, bos_token_id: 1, chunk_size: 256, eos_token_id: 2, hidden_act: 'gelu', layers_block_type: zambaLayers, mamba_d_conv: 4, mamba_d_state: 64, mamba_expand: 2, mamba_ngroups: 1, n_mamba_heads: 8, num_key_value_heads: null, num_logits_to_keep: 1, num_mem_blocks: 1, pad_token_id: 0,
      rms_norm_eps: 1e-5, rope_parameters: { rope_theta: 10_000, rope_type: 'default' }, tie_word_embeddings: true, time_step_floor: 1e-4, time_step_max: 0.1, time_step_min: 0.001, use_conv_bias: true, use_long_context: false, use_mamba_kernels: true, use_mem_eff_path: false, use_mem_rope: false, use_shared_attention_adapter: false },
    { headDim: 160, intermediateSize: 10_240, numKeyValueHeads: 32, mambaHeadSize: 640, rope: undefined, isHybrid: zambaLayers.map((type) => type === 'hybrid') }],
  ['Gemma 4, the defaults of its class', 'gemma4_text', [2304, 9216, 30, 8, 4, 262_144, 131_072],
    { hidden_act: null, head_dim: 256, global_head_dim: 512, hidden_activation: 'gelu_pytorch_tanh', hidden_size_per_layer_input: 256, vocab_size_per_layer_input: 262_144, rms_norm_eps: 1e-6, sliding_window: 512, tie_word_embeddings: true, attention_bias: false, attention_k_eq_v: false, num_kv_shared_layers: 20,
      use_double_wide_mlp: true, enable_moe_block: false, use_bidirectional_attention: null, num_experts: null, top_k_experts: null, moe_intermediate_size: null, num_global_key_value_heads: null, final_logit_softcapping: 30, pad_token_id: 0, eos_token_id: 1, bos_token_id: 2,
      layer_types: Array.from({ length: 30 }, (_, layer) => (layer % 6 === 5 ? 'full_attention' : 'sliding_attention')),
      rope_parameters: { sliding_attention: { rope_type: 'default', rope_theta: 10_000 }, full_attention: { rope_type: 'proportional', partial_rotary_factor: 0.25, rope_theta: 1_000_000 } } },
    { headDim: 256, globalHeadDim: 512, borrowingLayers: 20, perLayerSize: 256 }],
];

const dictOf = (
  family: string,
  [hidden, inner, layers, heads, kvHeads, vocab, positions]: Sizes,
  says: Dict,
) => ({
  model_type: family,
  architectures: ['ForCausalLM'],
  transformers_version: '4.50.0',
  attention_dropout: 0,
  initializer_range: 0.02,
  use_cache: true,
  torch_dtype: 'bfloat16',
  hidden_act: 'silu',
  hidden_size: hidden,
  intermediate_size: inner,
  num_hidden_layers: layers,
  num_attention_heads: heads,
  num_key_value_heads: kvHeads,
  vocab_size: vocab,
  max_position_embeddings: positions,
  ...says,
});

/** Latent attention has as many heads of keys as of queries. */
const MLA = { num_key_value_heads: 4 };
const NGRAMS = {
  head_dim: 64,
  indexer_budget: 8,
  indexer_compress_ratio: 4,
  eos_token_id: 1,
  ple_layer_ids: [1],
};
const SMALL: Sizes = [64, 96, 3, 4, 2, 131, 256];

describe('published configurations of families', () => {
  before(() => loadModels());

  // Blocks of 64 tokens: ATB has no room for larger ones with heads of 256.
  for (const [name, family, sizes, says, means] of PUBLISHED) {
    it(`are read to the last key, and give legal graphs of each kind: ${name}`, () => {
      const dict = dictOf(family, sizes, says);
      const router = new (getRouter(family))('', dict);
      expect(router.config).to.deep.include({ ...means, unreadKeys: [] });
      const model = router.createModel(declaredWeights('bf16'));
      expect(model.name).to.equal(family);
      for (const kind of DECODER_KINDS) {
        const descs = inputDescs(model, kind, 'bf16', { batch: 2, tokens: 300, blockSize: 64 });
        const problems = specProblems(model.buildGraph(kind), descs);
        expect(problems.filter(({ text }) => !KNOWN.test(text))).to.deep.equal([]);
      }
    });
  }

  // biome-ignore format: one branch a line
  const REFUSED: ReadonlyArray<readonly [family: string, says: Dict, problem: RegExp]> = [
    ['hunyuan_v1_dense', { use_cla: true }, /use_cla: shapes queries, keys and values in another way.*found true/],
    ['hunyuan_v1_dense', { use_qk_norm: false }, /use_qk_norm must be true: .*found false/],
    ['hunyuan_v1_dense', { use_rotary_pos_emb: false }, /use_rotary_pos_emb must be true: .*found false/],
    ['hunyuan_v1_dense', { norm_type: 'layer' }, /norm_type must be rms: .*found "layer"/],
    ['falcon_h1', { mamba_n_heads: 3 }, /mamba_n_heads \(3\) heads of 341.* must be mamba_d_ssm \(1024\)/],
    ['bailing_hybrid', { ...MLA, architectures: ['BailingMoeV2_5ForCausalLM'] }, /BailingMoeV2_5ForCausalLM, which has lightning attention, is not supported/],
    ['bailing_hybrid', { ...MLA, kda_lower_bound: 5, share_expert_swiglu_limit_list: [0, 7] }, /kda_lower_bound must be a number .*share_expert_swiglu_limit_list must have one entry for each of the 3 layers, found 2/s],
    ['qwen4_exp_text', { head_dim: 64, ple_layer_ids: [1] }, /indexer_budget is missing.*eos_token_id is missing, at which n-grams begin anew/],
    ['qwen4_exp_text', { head_dim: 64, indexer_budget: 8, indexer_compress_ratio: 3, ple_layer_ids: [4] }, /indexer_budget \(8\) must be a multiple of .* \(3\); ple_layer_ids: layer 4 is none of those with linear attention/],
    ['qwen4_exp_text', { ...NGRAMS, heads_per_ngram: 128, ngram_size: 10, ple_embed_dim: 1152 }, /heads_per_ngram must make at most 1024 parts of tables, found 1 of 1152 each/],
    ['qwen4_exp_text', { ...NGRAMS, ngram_vocab_size_base: 30, split_ngram_parts: 300 }, /split_ngram_parts \(300\) must leave each part some of the \d+ rows of a table/],
    ['qwen3_next', { linear_num_key_heads: 3 }, /linear_num_value_heads \(32\) must be a multiple of linear_num_key_heads \(3\)/],
    ['deepseek_v32', { ...MLA, kv_lora_rank: 20 }, /kv_lora_rank \(20\) and qk_rope_head_dim \(64\) must be multiples of 8 that are at most 576 together/],
    ['hrm_text', { num_layers_per_stack: 2, attention_bias: true }, /num_hidden_layers must be num_layers_per_stack \* H_cycles \* \(L_cycles \+ 1\) \(16\), found 3.*attention_bias must be false/],
    ['jamba', { attn_layer_period: 4, attn_layer_offset: 4 }, /attn_layer_offset \(4\) must be less than attn_layer_period \(4\)/],
    ['zamba2', { n_mamba_heads: 4, layers_block_type: ['mamba', 'hybrid'] }, /layers_block_type must have one entry for each of the 3 layers, found 2/],
    ['zamba2', { n_mamba_heads: 4, mamba_headdim: 64 }, /n_mamba_heads \(4\) heads of 64 must be mamba_expand \* hidden_size \(128\)/],
    ['zamba2', { n_mamba_heads: 4, use_long_context: true }, /use_long_context must be false/],
    ['minimax_m3_vl_text', { index_block_size: 48, index_topk_blocks: 2, index_local_blocks: 3 }, /index_block_size must be a multiple of 32, found 48; index_local_blocks \(3\) must be at most index_topk_blocks \(2\)/],
    ['minimax_m3_vl_text', { num_key_value_heads: 2, head_dim: 64, index_n_heads: 4, sparse_attention_config: { sparse_index_dim: 32 } }, /index_n_heads must be num_key_value_heads \(2\), found 4; index_head_dim must be head_dim \(64\), found 32/],
    ['minimax_m3_vl_text', { rotary_dim: 64, hidden_act: 'gelu', sparse_attention_config: { sparse_init_block: 1, sparse_score_type: 'lse', sparse_attention_freq: [0, 1, 1], sparse_disable_index_value: [1, 1, 0] } },
      /rotary_dim \(64\) must be said by partial_rotary_factor, which is that of a whole head.*hidden_act must be one of swigluoai, silu.*sparse_disable_index_value must be 1 in layer 2: indexers have no values.*sparse_score_type must be max.*sparse_init_block must be 0/],
    ['minimax_m3_vl_text', { index_topk_blocks: 8, sparse_attention_config: { sparse_topk_blocks: 16 } }, /index_topk_blocks \(8\) and sparse_attention_config\.sparse_topk_blocks \(16\) contradict each other/],
    ['minimax', { postnorm: false, shared_intermediate_size: 8 }, /postnorm must be true.*shared_intermediate_size must be 0/],
    ['zamba', { num_key_value_heads: 4, n_mamba_heads: 3 }, /n_mamba_heads \(3\) must divide mamba_expand \* hidden_size \(128\)/],
    ['diffllama', { num_attention_heads: 3, num_key_value_heads: 3, head_dim: 16 }, /num_key_value_heads must be even, found 3/],
    ['recurrent_gemma', { lru_width: 66 }, /lru_width \(66\) must be a multiple of num_attention_heads \(4\)/],
    ['recurrent_gemma', { embeddings_scale_by_sqrt_dim: false }, /embeddings_scale_by_sqrt_dim must be true: .*found false/],
    ['recurrent_gemma', { block_types: [] }, /block_types must have an entry, found none/],
    ['recurrent_gemma', { block_types: ['recurrent', 'mamba'] }, /block_types must be a list of "recurrent" and "attention"/],
    ['jamba', { hidden_act: 'gelu' }, /hidden_act must be silu/],
    ['bamba', { mamba_n_heads: 4, mamba_d_head: 32, mamba_n_groups: 3 }, /mamba_n_groups \(3\) must divide the 4 heads/],
    ['nemotron_h', { hidden_act: null, mamba_num_heads: 4, n_groups: 3 }, /n_groups \(3\) must divide the 4 heads/],
    ['codegen', { n_embd: 64, n_head: 4 }, /rotary_dim is missing, and 64 are more than a head has \(16\)/],
    ['nemotron_h', { hidden_act: null, layers_block_type: [] }, /layers_block_type must name a layer, found none/],
    ['nemotron_h', { hidden_act: null, hybrid_override_pattern: 'M-X' }, /hybrid_override_pattern must be made of M \* - E, found X/],
    ['starcoder2', { mlp_type: 'gated' }, /mlp_type must be default: .*found "gated"/],
    ['starcoder2', { norm_type: 'rms_norm' }, /norm_type must be layer_norm: .*found "rms_norm"/],
    ['mimo', { attention_bias: false }, /attention_bias must be true: .*found false/],
    ['mimo', { use_mrope: true }, /use_mrope: turns queries and keys .*found true/],
    ['smollm3', { no_rope_layers: [1, 0] }, /no_rope_layers must have one entry for each of the 3 layers, found 2/],
    ['smollm3', { no_rope_layers: [1, 0, 2] }, /no_rope_layers must be a list of 0 and 1/],
    ['olmo3', { rope_parameters: { chunked_attention: { rope_type: 'default' } } }, /chunked_attention: this family has a RoPE for each of/],
    ['cohere2', { layer_types: ['full_attention', 'full_attention', 'chunked_attention'] }, /layer_types must be a list of/],
    ['phi3', { num_local_experts: 16 }, /num_local_experts: makes experts of the MLPs.*found 16/],
    ['glm', { partial_rotary_factor: 1.5 }, /partial_rotary_factor must be a number .*found 1.5/],
    ['exaone4', { sliding_window_pattern: 'LLLG' }, /layer_types is missing beside sliding_window_pattern "LLLG"/],
    ['exaone4', { sliding_window_pattern: 'x', layer_types: [] }, /sliding_window_pattern must be a number or letters L and G, found "x"/],
    ['exaone4', { sliding_window_pattern: 0 }, /sliding_window_pattern must be an integer from 1 .*found 0/],
    ['gptj', { rotary_dim: 3, rotary: false }, /rotary_dim must be even, found 3; rotary must be true/],
    ['olmo', { clip_qkv: 0 }, /clip_qkv must be a number greater than 0.*found 0/],
    ['mpt', { attn_config: { alibi: false, prefix_lm: true } }, /attn_config.alibi must be true.*attn_config.prefix_lm must be false/],
    ['gpt_neo', { attention_types: [[['global', 'local'], 1]] }, /attention_types must have one entry for each of the 3 layers, found 2/],
    ['gpt_neo', { attention_types: [[['global', 'sparse'], 2]] }, /attention_types must be a list of lists of "global" and "local"/],
    ['gpt_neo', { attention_types: [[['global'], 1e9]] }, /attention_types must be a list of lists of "global" and "local"/],
    ['cwm', {}, /rope_theta is missing/],
    ['granite_swa', { layer_rope_theta: [0, 1e4] }, /layer_rope_theta must have one entry for each of the 3 layers, found 2/],
    ['granitemoe_swa', { layer_rope_theta: [0, 1e4, -1] }, /layer_rope_theta must be a list of numbers of at least 0/],
    ['longcat_flash', { num_layers: 2, num_key_value_heads: 4, zero_expert_type: 'copy' }, /num_hidden_layers must be num_layers \(2\) or twice that, found 3; .*zero_expert_type must be identity: .*found "copy"/],
    ['longcat_flash', { num_key_value_heads: 4 }, /num_layers is missing/],
    ['mimo_v2_flash', { swa_head_dim: 128 }, /swa_head_dim must be that of all layers \(192\), found 128/],
    ['mimo_v2_flash', { add_full_attention_sink_bias: true }, /add_full_attention_sink_bias must be false: .*found true/],
    ['mimo_v2_flash', { hybrid_layer_pattern: [0, 1] }, /hybrid_layer_pattern must have one entry for each of the 3 layers, found 2/],
    ['mistral4', {}, /rope_parameters is missing: .* Mistral4Config takes .* is not built/],
    ['mistral4', { num_key_value_heads: 4, head_dim: 64, rope_parameters: { rope_theta: 1e4 } }, /head_dim must be qk_nope_head_dim \+ qk_rope_head_dim \(128\), found 64/],
    ['mistral4', { num_key_value_heads: 4, rope_parameters: { rope_theta: 1e4, partial_rotary_factor: 0.25 } }, /partial_rotary_factor must be qk_rope_head_dim's share of a head \(64 of 128\), found 32/],
    ['apertus1p5_text', { hidden_act: 'xielu', rope_theta: 12e6, tie_word_embeddings: true, output_vocab_size: 130 }, /tie_word_embeddings must be false where output_vocab_size is less than vocab_size/],
    ['apertus1p5_text', { hidden_act: 'xielu', rope_theta: 12e6, output_vocab_size: 132 }, /output_vocab_size must be at most vocab_size \(131\), found 132/],
    ['apertus', { rope_theta: 12e6, post_norm: true }, /hidden_act must be xielu.*found "silu"; post_norm must be false/],
    ['minimax_m2', { use_qk_norm: false, attn_type_list: [1, 0, 1] }, /use_qk_norm must be true.*attn_type_list must be a list of ones/],
    ['afmoe', { n_group: 2, score_func: 'softmax' }, /score_func must be sigmoid.*n_group must be 1/],
    ['deepseek_v32', { ...MLA, q_lora_rank: 0 }, /q_lora_rank must be an integer from 1 .*found 0/],
    ['deepseek_v32', { ...MLA, index_head_dim: 64 }, /index_head_dim must be a multiple of 8 above qk_rope_head_dim \(64\) and up to 576, found 64/],
    ['deepseek_v32', { ...MLA, index_topk: 0 }, /index_topk must be an integer from 1 .*found 0/],
    ['deepseek_v32', { ...MLA, indexer_rope_interleave: true }, /indexer_rope_interleave must be false: .*found true/],
    ['deepseek_v32', { ...MLA, layer_types: ['full_attention', 'indexed_attention', 'indexed_attention'] }, /layer_types must be a list of "indexed_attention"/],
    ['deepseek_v4', { compress_ratios: [0, 4, 8] }, /compress_ratios must be of 0, 4 and 128, found 8/],
    ['deepseek_v4', { layer_types: ['sliding_attention'] }, /layer_types must have an entry for each of the 3 layers, found 1/],
    ['deepseek_v4', { compress_ratios: [0] }, /compress_ratios must have an entry for each of the 3 layers, found 1/],
    ['deepseek_v4', { compress_rates: { compressed_sparse_attention: 1 } }, /compressed_sparse_attention must be an integer from 2 /],
    ['deepseek_v4', { index_head_dim: 32 }, /index_head_dim must be at least the 64 numbers of a head that turn, found 32/],
    ['deepseek_v4', { head_dim: 84, scoring_func: 'sigmoid' }, /head_dim must be a multiple of 8, found 84.*scoring_func must be sqrtsoftplus/],
    ['glm_moe_dsa', { ...MLA, indexer_rope_interleave: false }, /indexer_rope_interleave must be true: .*found false/],
    ['glm_moe_dsa', { ...MLA, indexer_types: ['full', 'shared'] }, /indexer_types must have one entry for each of the 3 layers, found 2/],
    ['glm_moe_dsa', { ...MLA, indexer_types: ['shared', 'full', 'full'] }, /indexer_types must begin with "full"/],
    ['glm_moe_dsa', { ...MLA, index_topk_pattern: 'FSX' }, /index_topk_pattern must be of the letters F and S, found "FSX"/],
    ['granite', { residual_multiplier: 0 }, /residual_multiplier must be a number greater than 0.*found 0/],
  ];
  for (const [family, says, problem] of REFUSED) {
    it(`are refused by name where a branch is not built: ${family} ${JSON.stringify(says)}`, () => {
      const router = new (getRouter(family))('', dictOf(family, SMALL, says));
      expect(() => router.createModel(declaredWeights('f32')))
        .to.throw(problem)
        .with.property('code', 'CONFIG_INVALID');
    });
  }

  it('may have entries of as many tokens in layers that choose them as in the others', () => {
    const dict = { ...familyConfig('deepseek_v4'), compress_rate_csa: 16 };
    const model = new (getRouter('deepseek_v4'))('', dict).createModel(declaredWeights('f32'));
    expect(() => model.graphKinds.map((kind) => model.buildGraph(kind))).not.to.throw();
  });
});
