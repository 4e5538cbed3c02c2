import {
  ATTENTION,
  experts,
  type GgufArchitecture,
  groupedExperts,
  OUTER,
  OWN_KEYS,
  TURNS_NOTHING,
} from '../architecture.js';
import { type Change, channelKernels, decays, TURNS_NEIGHBOURS, vector } from '../changes.js';
import type { GgufNumbers } from '../numbers.js';
import { graniteScales } from './dense.js';
import { GRANITE_MOE } from './experts.js';

/** Which layers have attention: those that have heads for keys. */
const attends = (numbers: GgufNumbers): readonly boolean[] =>
  (numbers.perLayer('attention.head_count_kv') ?? numbers.fail('attention.head_count_kv must be a list'))
    .slice(0, numbers.layers)
    .map((heads) => Number(heads) > 0);

/** Short convolutions of LFM2. */
const LFM2 = {
  attn_norm: 'operator_norm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.out_proj',
  attn_q_norm: 'self_attn.q_layernorm',
  attn_k_norm: 'self_attn.k_layernorm',
  'shortconv.conv': 'conv.conv',
  'shortconv.in_proj': 'conv.in_proj',
  'shortconv.out_proj': 'conv.out_proj',
  ffn_norm: 'ffn_norm',
  ffn_gate: 'feed_forward.w1',
  ffn_down: 'feed_forward.w2',
  ffn_up: 'feed_forward.w3',
};

const lfm2 = (numbers: GgufNumbers) => ({
  rms_norm_eps: undefined,
  norm_eps: numbers.number('attention.layer_norm_rms_epsilon'),
  layer_types: attends(numbers).map((has) => (has ? 'full_attention' : 'conv')),
  conv_L_cache: numbers.number('shortconv.l_cache'),
  conv_bias: false,
});
const LFM2_OUTER = { ...OUTER, token_embd_norm: 'model.embedding_norm', output_norm: 'model.embedding_norm' };

/** Mamba 2, as it is called within a layer. */
const mamba2 = (at: string): Readonly<Record<string, string>> => ({
  ssm_a: `${at}.A_log`,
  ssm_d: `${at}.D`,
  'ssm_dt.bias': `${at}.dt_bias`,
  ssm_conv1d: `${at}.conv1d`,
  ssm_in: `${at}.in_proj`,
  ssm_norm: `${at}.norm`,
  ssm_out: `${at}.out_proj`,
});
/** What the converter makes of it. */
const MAMBA2_CHANGES: Readonly<Record<string, Change>> = {
  ssm_a: decays,
  ssm_d: vector,
  ssm_norm: vector,
  ssm_conv1d: channelKernels,
};

/** Sizes of Mamba 2, by the names that a family gives them. */
const mamba2Sizes = (numbers: GgufNumbers) => {
  const [inner, heads] = [numbers.number('ssm.inner_size'), numbers.number('ssm.time_step_rank')];
  return {
    inner,
    heads,
    headSize: inner / heads,
    state: numbers.number('ssm.state_size'),
    groups: numbers.number('ssm.group_count'),
    kernel: numbers.number('ssm.conv_kernel'),
  };
};

/** What Bamba's descendants call these. */
const mambaKeys = (numbers: GgufNumbers) => {
  const { inner, heads, headSize, state, groups, kernel } = mamba2Sizes(numbers);
  return {
    mamba_d_ssm: inner,
    mamba_n_heads: heads,
    mamba_d_head: headSize,
    mamba_d_state: state,
    mamba_n_groups: groups,
    mamba_d_conv: kernel,
    mamba_expand: inner / numbers.number('embedding_length'),
    mamba_conv_bias: true,
    mamba_proj_bias: false,
  };
};

/** What the layers of Mamba and Nemotron-H stand behind. */
const BACKBONE = {
  layers: 'backbone.layers',
  outer: { token_embd: 'backbone.embeddings', output_norm: 'backbone.norm_f', output: 'lm_head' },
};

const nemotronH = (numbers: GgufNumbers) => {
  const { heads, headSize, state, groups, kernel } = mamba2Sizes(numbers);
  const widths = numbers.perLayer('feed_forward_length') ?? [];
  const kind = (has: boolean, layer: number) => {
    if (has) return '*';
    if (numbers.has(`blk.${layer}.ffn_gate_inp.weight`)) return 'E';
    return Number(widths[layer]) > 0 || numbers.has(`blk.${layer}.ffn_up.weight`) ? '-' : 'M';
  };
  return {
    hybrid_override_pattern: attends(numbers).map(kind).join(''),
    ...{ mamba_num_heads: heads, mamba_head_dim: headSize, ssm_state_size: state, n_groups: groups },
    ...{ conv_kernel: kernel, use_conv_bias: true, use_bias: false, mamba_proj_bias: false },
    ...{ rms_norm_eps: undefined, norm_eps: numbers.number('attention.layer_norm_rms_epsilon') },
    mlp_hidden_act: 'relu2',
  };
};
const NEMOTRON_H = {
  attn_norm: 'norm',
  attn_q: 'mixer.q_proj',
  attn_k: 'mixer.k_proj',
  attn_v: 'mixer.v_proj',
  attn_output: 'mixer.o_proj',
  ffn_up: 'mixer.up_proj',
  ffn_down: 'mixer.down_proj',
  ...mamba2('mixer'),
};

/** Models that remember by convolutions and by Mamba's states. */
export const STATE_MODELS: Readonly<Record<string, GgufArchitecture>> = {
  lfm2: {
    modelType: 'lfm2',
    architectures: 'Lfm2ForCausalLM',
    layer: LFM2,
    outer: LFM2_OUTER,
    changes: { 'shortconv.conv': channelKernels },
    config: (numbers) => ({ ...lfm2(numbers), block_auto_adjust_ff_dim: false }),
  },
  lfm2moe: {
    modelType: 'lfm2_moe',
    architectures: 'Lfm2MoeForCausalLM',
    layer: {
      ...LFM2,
      ffn_gate_inp: 'feed_forward.gate',
      'exp_probs_b.bias': 'feed_forward.expert_bias',
      ffn_gate_exps: 'feed_forward.experts.*.w1',
      ffn_down_exps: 'feed_forward.experts.*.w2',
      ffn_up_exps: 'feed_forward.experts.*.w3',
    },
    outer: LFM2_OUTER,
    changes: { 'shortconv.conv': channelKernels },
    config: (numbers) => ({
      ...lfm2(numbers),
      ...experts(numbers),
      num_dense_layers: numbers.number('leading_dense_block_count'),
      norm_topk_prob: true,
      use_expert_bias: true,
    }),
  },
  'falcon-h1': {
    modelType: 'falcon_h1',
    architectures: 'FalconH1ForCausalLM',
    layer: {
      ...ATTENTION,
      ...mamba2('mamba'),
      ffn_norm: 'pre_ff_layernorm.weight',
      ffn_gate: 'feed_forward.gate_proj',
      ffn_up: 'feed_forward.up_proj',
      ffn_down: 'feed_forward.down_proj',
    },
    outer: { ...OUTER, output_norm: 'model.final_layernorm' },
    changes: MAMBA2_CHANGES,
    // Its factors are in the weights.
    config: (numbers) => ({
      ...mambaKeys(numbers),
      mamba_rms_norm: numbers.has('blk.0.ssm_norm.weight'),
      mamba_norm_before_gate: false,
      ...Object.fromEntries(
        ['attention_in', 'attention_out', 'embedding', 'key', 'lm_head', 'ssm_in', 'ssm_out'].map((name) => [
          `${name}_multiplier`,
          1,
        ]),
      ),
      mlp_multipliers: [1, 1],
      ssm_multipliers: [1, 1, 1, 1, 1],
    }),
  },
  granitehybrid: {
    modelType: 'granitemoehybrid',
    architectures: 'GraniteMoeHybridForCausalLM',
    ...GRANITE_MOE,
    layer: { ...GRANITE_MOE.layer, ...mamba2('mamba') },
    changes: { ...TURNS_NEIGHBOURS, ...MAMBA2_CHANGES },
    config: (numbers) => ({
      ...graniteScales(numbers),
      ...mambaKeys(numbers),
      mamba_d_ssm: undefined,
      layer_types: attends(numbers).map((has) => (has ? 'attention' : 'mamba')),
      num_local_experts: numbers.optional('expert_count') ?? 0,
      num_experts_per_tok: numbers.optional('expert_used_count') ?? 0,
      shared_intermediate_size: numbers.optional('expert_shared_feed_forward_length') ?? 0,
      position_embedding_type: 'nope',
    }),
  },
  nemotron_h: {
    modelType: 'nemotron_h',
    architectures: 'NemotronHForCausalLM',
    ...BACKBONE,
    layer: NEMOTRON_H,
    changes: MAMBA2_CHANGES,
    config: nemotronH,
  },
  nemotron_h_moe: {
    modelType: 'nemotron_h',
    architectures: 'NemotronHForCausalLM',
    ...BACKBONE,
    layer: {
      ...NEMOTRON_H,
      ffn_gate_inp: 'mixer.gate',
      'exp_probs_b.bias': 'mixer.gate.e_score_correction_bias',
      ffn_up_exps: 'mixer.experts.*.up_proj',
      ffn_down_exps: 'mixer.experts.*.down_proj',
      ffn_up_shexp: 'mixer.shared_experts.up_proj',
      ffn_down_shexp: 'mixer.shared_experts.down_proj',
    },
    changes: MAMBA2_CHANGES,
    config: (numbers) => ({
      ...nemotronH(numbers),
      ...groupedExperts(numbers),
      first_k_dense_replace: undefined,
      moe_shared_expert_intermediate_size: numbers.number('expert_shared_feed_forward_length'),
      n_group: numbers.optional('expert_group_count') ?? 1,
      topk_group: numbers.optional('expert_group_used_count') ?? 1,
    }),
  },
  mamba2: {
    modelType: 'mamba2',
    architectures: 'Mamba2ForCausalLM',
    ...BACKBONE,
    layer: { attn_norm: 'norm', ...mamba2('mixer') },
    changes: MAMBA2_CHANGES,
    config: (numbers) => {
      const { inner, heads, headSize, state, groups, kernel } = mamba2Sizes(numbers);
      return {
        ...{ num_heads: heads, head_dim: headSize, state_size: state, n_groups: groups, conv_kernel: kernel },
        expand: inner / numbers.number('embedding_length'),
        layer_norm_epsilon: numbers.number('attention.layer_norm_rms_epsilon'),
        ...{ use_bias: false, use_conv_bias: true, rms_norm_eps: undefined },
        ...TURNS_NOTHING,
        ...OWN_KEYS,
      };
    },
  },
};
