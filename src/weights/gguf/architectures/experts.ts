import {
  ATTENTION,
  CORRECTED_EXPERTS,
  EXPERTS,
  experts,
  GATED_MLP,
  type GgufArchitecture,
  groupedExperts,
  HEAD_NORMS,
  LLAMA,
  rotaryPart,
  SHARED_EXPERT,
  takesSigmoids,
  toldWindowTypes,
  yarn,
} from '../architecture.js';
import { asFloats, halves, oneRow, TURNS_NEIGHBOURS } from '../changes.js';
import type { GgufNumbers } from '../numbers.js';
import { graniteScales, HUNYUAN_NORMS } from './dense.js';
import { KEYS_AND_VALUES, latentSizes, PROJECTED_LATENTS, yarnOfLatents } from './latent.js';

const MOE_LAYER = { ...ATTENTION, ffn_norm: 'post_attention_layernorm' };

/** Experts that all layers have. */
const everyLayer = (numbers: GgufNumbers) => ({
  ...experts(numbers),
  decoder_sparse_step: 1,
  mlp_only_layers: [],
});

/** A mixture of experts under Granite's names. */
const GRANITE_EXPERTS = {
  ffn_gate_inp: 'block_sparse_moe.router.layer',
  ffn_gate_exps: 'block_sparse_moe.*.gate_proj',
  ffn_up_exps: 'block_sparse_moe.*.up_proj',
  ffn_down_exps: 'block_sparse_moe.*.down_proj',
  ffn_down_shexp: 'shared_mlp.output_linear',
  ffn_down: 'shared_mlp.output_linear',
};

export const GRANITE_MOE = {
  layer: { ...MOE_LAYER, ...GRANITE_EXPERTS },
  joins: [
    { as: 'shared_mlp.input_linear.weight', of: ['ffn_gate_shexp.weight', 'ffn_up_shexp.weight'] },
    { as: 'shared_mlp.input_linear.weight', of: ['ffn_gate.weight', 'ffn_up.weight'] },
  ],
};

const QWEN3_MOE: GgufArchitecture = {
  modelType: 'qwen3_moe',
  architectures: 'Qwen3MoeForCausalLM',
  layer: { ...MOE_LAYER, ...HEAD_NORMS, ...EXPERTS },
  config: (numbers) => ({ ...everyLayer(numbers), norm_topk_prob: true }),
};

/** Experts are chosen within some of their groups. */
const expertGroups = (numbers: GgufNumbers) => ({
  n_group: numbers.optional('expert_group_count') ?? 1,
  topk_group: numbers.optional('expert_group_used_count') ?? 1,
});

/** Files of 2024 and 2025 leave this out: DeepSeek-V3 has 256 experts, V2 160, and of 8 groups they choose 4 and 3. */
function deepseekGroups(numbers: GgufNumbers) {
  const chosen = { 256: 4, 160: 3 }[numbers.optional('expert_count') ?? 0];
  const isUnsaid = numbers.optional('expert_group_count') === undefined;
  return isUnsaid && chosen ? { n_group: 8, topk_group: chosen } : expertGroups(numbers);
}

/** Models that choose experts, most used first. */
export const EXPERT_MODELS: Readonly<Record<string, GgufArchitecture>> = {
  'gpt-oss': {
    modelType: 'gpt_oss',
    architectures: 'GptOssForCausalLM',
    layer: {
      ...ATTENTION,
      post_attention_norm: 'post_attention_layernorm',
      'attn_sinks.weight': 'self_attn.sinks',
      ffn_gate_inp: 'mlp.router',
      ffn_gate_exps: 'mlp.experts.*.gate_proj',
      ffn_up_exps: 'mlp.experts.*.up_proj',
      ffn_down_exps: 'mlp.experts.*.down_proj',
    },
    config: (numbers) => ({
      num_local_experts: numbers.number('expert_count'),
      num_experts_per_tok: numbers.number('expert_used_count'),
      intermediate_size: numbers.number('expert_feed_forward_length'),
      sliding_window: numbers.number('attention.sliding_window'),
      rope_scaling: { ...yarn(numbers), truncate: false },
    }),
  },
  qwen3moe: QWEN3_MOE,
  qwen3vlmoe: QWEN3_MOE,
  qwen2moe: {
    modelType: 'qwen2_moe',
    architectures: 'Qwen2MoeForCausalLM',
    layer: { ...MOE_LAYER, ...EXPERTS, ...SHARED_EXPERT },
    changes: { ffn_gate_inp_shexp: oneRow },
    config: (numbers) => ({
      ...everyLayer(numbers),
      shared_expert_intermediate_size: numbers.number('expert_shared_feed_forward_length'),
      norm_topk_prob: false,
    }),
  },
  // V3 has the sigmoids, V2 the softmax; both have latent attention.
  deepseek2: {
    modelType: 'deepseek_v3',
    architectures: 'DeepseekV3ForCausalLM',
    layer: { ...LLAMA, ...CORRECTED_EXPERTS, ...PROJECTED_LATENTS },
    joins: KEYS_AND_VALUES,
    changes: { attn_kv_b: asFloats },
    config: (numbers) => {
      const { n_group: groups, topk_group: chosen } = deepseekGroups(numbers);
      return {
        ...(takesSigmoids(numbers)
          ? { scoring_func: 'sigmoid', topk_method: 'noaux_tc' }
          : {
              model_type: 'deepseek_v2',
              architectures: ['DeepseekV2ForCausalLM'],
              scoring_func: 'softmax',
              topk_method: groups > 1 ? 'group_limited_greedy' : 'greedy',
            }),
        ...latentSizes(numbers),
        ...groupedExperts(numbers),
        n_group: groups,
        topk_group: chosen,
        ...yarnOfLatents(numbers),
      };
    },
  },
  glm4moe: {
    modelType: 'glm4_moe',
    architectures: 'Glm4MoeForCausalLM',
    layer: {
      ...ATTENTION,
      ...HEAD_NORMS,
      post_attention_norm: 'post_attention_layernorm',
      ...GATED_MLP,
      ...CORRECTED_EXPERTS,
    },
    saysBiases: true,
    config: (numbers) => ({
      ...groupedExperts(numbers),
      ...expertGroups(numbers),
      num_nextn_predict_layers: 0,
      use_qk_norm: numbers.has('blk.0.attn_q_norm.weight'),
      ...rotaryPart(numbers),
    }),
  },
  llama4: {
    modelType: 'llama4_text',
    architectures: 'Llama4ForCausalLM',
    layer: {
      ...ATTENTION,
      ffn_norm: 'post_attention_layernorm',
      ffn_gate: 'feed_forward.gate_proj',
      ffn_up: 'feed_forward.up_proj',
      ffn_down: 'feed_forward.down_proj',
      ffn_gate_inp: 'feed_forward.router',
      ffn_gate_exps: 'feed_forward.experts.*.gate_proj',
      ffn_up_exps: 'feed_forward.experts.*.up_proj',
      ffn_down_exps: 'feed_forward.experts.*.down_proj',
      ffn_gate_shexp: 'feed_forward.shared_expert.gate_proj',
      ffn_up_shexp: 'feed_forward.shared_expert.up_proj',
      ffn_down_shexp: 'feed_forward.shared_expert.down_proj',
    },
    config: (numbers) => ({
      num_local_experts: numbers.number('expert_count'),
      num_experts_per_tok: numbers.number('expert_used_count'),
      intermediate_size: numbers.number('expert_feed_forward_length'),
      intermediate_size_mlp: numbers.number('feed_forward_length'),
      interleave_moe_layer_step: numbers.number('interleave_moe_layer_step'),
      // As llama.cpp has it for all of them; Maverick norms no heads.
      attention_chunk_size: 8192,
      floor_scale: 8192,
      attn_scale: 0.1,
      attn_temperature_tuning: true,
      use_qk_norm: numbers.number('expert_count') !== 128,
    }),
  },
  'ernie4_5-moe': {
    modelType: 'ernie4_5_moe',
    architectures: 'Ernie4_5_MoeForCausalLM',
    layer: {
      ...LLAMA,
      ...CORRECTED_EXPERTS,
      'exp_probs_b.bias': 'mlp.moe_statics.e_score_correction_bias',
    },
    config: (numbers) => ({
      moe_num_experts: numbers.number('expert_count'),
      moe_k: numbers.number('expert_used_count'),
      moe_intermediate_size: numbers.number('expert_feed_forward_length'),
      moe_num_shared_experts: numbers.optional('expert_shared_count') ?? 0,
      moe_layer_start_index: numbers.number('leading_dense_block_count'),
      moe_layer_end_index: numbers.layers - 1,
      moe_layer_interval: numbers.number('interleave_moe_layer_step'),
      use_bias: false,
    }),
  },
  'hunyuan-moe': {
    modelType: 'hunyuan_v1_moe',
    architectures: 'HunYuanMoEV1ForCausalLM',
    layer: {
      ...MOE_LAYER,
      ...HUNYUAN_NORMS,
      ...EXPERTS,
      ffn_gate_inp: 'mlp.gate.wg',
      ffn_gate_shexp: 'mlp.shared_mlp.gate_proj',
      ffn_up_shexp: 'mlp.shared_mlp.up_proj',
      ffn_down_shexp: 'mlp.shared_mlp.down_proj',
    },
    config: (numbers) => ({
      num_experts: numbers.number('expert_count'),
      moe_topk: numbers.number('expert_used_count'),
      moe_intermediate_size: numbers.number('expert_feed_forward_length'),
      intermediate_size: numbers.number('expert_shared_feed_forward_length'),
      num_shared_expert: 1,
    }),
  },
  granitemoe: {
    modelType: 'granitemoe',
    architectures: 'GraniteMoeForCausalLM',
    ...GRANITE_MOE,
    changes: TURNS_NEIGHBOURS,
    config: (numbers) => ({
      ...graniteScales(numbers),
      num_local_experts: numbers.number('expert_count'),
      num_experts_per_tok: numbers.number('expert_used_count'),
      shared_intermediate_size: numbers.optional('expert_shared_feed_forward_length') ?? 0,
    }),
  },
  olmoe: {
    modelType: 'olmoe',
    architectures: 'OlmoeForCausalLM',
    layer: { ...MOE_LAYER, ...HEAD_NORMS, ...EXPERTS },
    config: (numbers) => ({
      num_experts: numbers.number('expert_count'),
      num_experts_per_tok: numbers.number('expert_used_count'),
      norm_topk_prob: false,
    }),
  },
  deepseek: {
    modelType: 'deepseek',
    architectures: 'DeepseekForCausalLM',
    layer: { ...LLAMA, ...CORRECTED_EXPERTS },
    changes: { attn_q: halves('attention.head_count'), attn_k: halves('attention.head_count_kv') },
    config: (numbers) => ({ ...groupedExperts(numbers), scoring_func: 'softmax', moe_layer_freq: 1 }),
  },
  dots1: {
    modelType: 'dots1',
    architectures: 'Dots1ForCausalLM',
    layer: { ...LLAMA, ...HEAD_NORMS, ...CORRECTED_EXPERTS },
    config: (numbers) => ({
      ...groupedExperts(numbers),
      ...expertGroups(numbers),
      sliding_window: null,
      layer_types: toldWindowTypes(numbers, 1),
    }),
  },
};

/** Mixtral, which calls itself a llama. */
export const MIXTRAL: GgufArchitecture = {
  modelType: 'mixtral',
  architectures: 'MixtralForCausalLM',
  layer: {
    ...MOE_LAYER,
    ffn_gate_inp: 'block_sparse_moe.gate',
    ffn_gate_exps: 'block_sparse_moe.experts.*.w1',
    ffn_down_exps: 'block_sparse_moe.experts.*.w2',
    ffn_up_exps: 'block_sparse_moe.experts.*.w3',
  },
  changes: TURNS_NEIGHBOURS,
  config: (numbers) => ({
    num_local_experts: numbers.number('expert_count'),
    num_experts_per_tok: numbers.number('expert_used_count'),
  }),
};
