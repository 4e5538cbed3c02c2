import {
  ATTENTION,
  EXPERTS,
  experts,
  GATED_MLP,
  type GgufArchitecture,
  HEAD_NORMS,
  rotaryPart,
  SHARED_EXPERT,
} from '../architecture.js';
import { type Change, channelKernels, decays, type GgufTensor, oneRow, ordered } from '../changes.js';
import type { GgufNumbers } from '../numbers.js';

/** Rows of a fused projection head by head, as Hugging Face has them; llama.cpp has all queries first, then all keys. */
const perHead = (heads: number, ...sizes: readonly number[]): Int32Array => {
  const starts = sizes.map((_, i) => sizes.slice(0, i).reduce((sum, size) => sum + size * heads, 0));
  return Int32Array.from(
    Array.from({ length: heads }, (_, head) =>
      sizes.flatMap((size, i) =>
        Array.from({ length: size }, (_, row) => (starts[i] ?? 0) + head * size + row),
      ),
    ).flat(),
  );
};

/** The rows of an order that are within one of two tensors, one behind the other, as runs that stay in one of them. */
function runsOf(order: Int32Array, [first, second]: readonly [GgufTensor, GgufTensor]): GgufTensor[] {
  const [rows = 0] = first.shape;
  const runs: GgufTensor[] = [];
  for (let at = 0; at < order.length; ) {
    const isFirst = (order[at] ?? 0) < rows;
    let end = at;
    while (end < order.length && (order[end] ?? 0) < rows === isFirst) end++;
    const own = order.slice(at, end).map((row) => (isFirst ? row : row - rows));
    runs.push(ordered(isFirst ? first : second, own));
    at = end;
  }
  return runs;
}

/** Sizes of gated delta rules. */
const deltaSizes = (numbers: GgufNumbers) => {
  const [keyHeads, valueHeads] = [numbers.number('ssm.group_count'), numbers.number('ssm.time_step_rank')];
  return {
    linear_num_key_heads: keyHeads,
    linear_num_value_heads: valueHeads,
    linear_key_head_dim: numbers.number('ssm.state_size'),
    linear_value_head_dim: numbers.number('ssm.inner_size') / valueHeads,
    linear_conv_kernel_dim: numbers.number('ssm.conv_kernel'),
  };
};

const linearTypes = (numbers: GgufNumbers) => {
  const told = numbers.perLayer('attention.recurrent_layers')?.slice(0, numbers.layers);
  const every = numbers.optional('full_attention_interval') ?? 4;
  const isLinear = told ?? Array.from({ length: numbers.layers }, (_, layer) => (layer + 1) % every !== 0);
  return isLinear.map((linear) => (linear ? 'linear_attention' : 'full_attention'));
};

const DELTA = {
  ...ATTENTION,
  ...HEAD_NORMS,
  post_attention_norm: 'post_attention_layernorm',
  ssm_a: 'linear_attn.A_log',
  'ssm_dt.bias': 'linear_attn.dt_bias',
  ssm_conv1d: 'linear_attn.conv1d',
  ssm_norm: 'linear_attn.norm',
  ssm_out: 'linear_attn.out_proj',
};
const QWEN35_DELTA = {
  ...DELTA,
  attn_qkv: 'linear_attn.in_proj_qkv',
  attn_gate: 'linear_attn.in_proj_z',
  ssm_alpha: 'linear_attn.in_proj_a',
  ssm_beta: 'linear_attn.in_proj_b',
};
const DELTA_CHANGES = { ssm_a: decays, ssm_conv1d: channelKernels, ffn_gate_inp_shexp: oneRow };

/** Rows of value heads, which llama.cpp has one of every key head after another, lie by their key heads. */
const byKeyHeads =
  (before: (numbers: GgufNumbers) => number, size: (numbers: GgufNumbers) => number): Change =>
  (tensor, numbers) => {
    const [keyHeads, valueHeads] = [numbers.number('ssm.group_count'), numbers.number('ssm.time_step_rank')];
    const [start, width, each] = [before(numbers), size(numbers), valueHeads / keyHeads];
    const rowOrder = Int32Array.from({ length: tensor.shape[0] ?? 0 }, (_, row) => {
      if (row < start) return row;
      const [head, inner] = [Math.floor((row - start) / width), (row - start) % width];
      return start + ((head % each) * keyHeads + Math.floor(head / each)) * width + inner;
    });
    return { ...tensor, rowOrder };
  };
/** The same of columns. */
const columnsByKeyHeads: Change = (tensor, numbers) => {
  const [keyHeads, valueHeads] = [numbers.number('ssm.group_count'), numbers.number('ssm.time_step_rank')];
  if (keyHeads === valueHeads) return tensor;
  const each = valueHeads / keyHeads;
  const order = Array.from(
    { length: valueHeads },
    (_, head) => (head % each) * keyHeads + Math.floor(head / each),
  );
  return { ...tensor, columnHeads: { order, size: valueSize(numbers) } };
};
const none = () => 0;
const one = () => 1;
const keyRows = (numbers: GgufNumbers) =>
  2 * numbers.number('ssm.state_size') * numbers.number('ssm.group_count');
const valueSize = (numbers: GgufNumbers) =>
  numbers.number('ssm.inner_size') / numbers.number('ssm.time_step_rank');
const both =
  (first: Change, second: Change): Change =>
  (tensor, numbers) =>
    second(first(tensor, numbers), numbers);
const QWEN35_CHANGES = {
  ...DELTA_CHANGES,
  attn_qkv: byKeyHeads(keyRows, valueSize),
  attn_gate: byKeyHeads(none, valueSize),
  ssm_alpha: byKeyHeads(none, one),
  ssm_beta: byKeyHeads(none, one),
  ssm_dt: byKeyHeads(none, one),
  ssm_out: columnsByKeyHeads,
  ssm_a: both(byKeyHeads(none, one), decays),
  ssm_conv1d: both(byKeyHeads(keyRows, valueSize), channelKernels),
};

const delta = (numbers: GgufNumbers) => ({ ...deltaSizes(numbers), layer_types: linearTypes(numbers) });
/** Positions of pictures have three numbers, which turn parts of a head in turn. */
const qwen35 = (numbers: GgufNumbers) => ({
  ...delta(numbers),
  rope_theta: undefined,
  rope_parameters: {
    rope_type: 'default',
    rope_theta: numbers.number('rope.freq_base'),
    ...rotaryPart(numbers),
    mrope_section: numbers.perLayer('rope.dimension_sections')?.slice(0, 3),
    mrope_interleaved: true,
  },
});
const sharedExperts = (numbers: GgufNumbers) => ({
  ...experts(numbers),
  shared_expert_intermediate_size: numbers.number('expert_shared_feed_forward_length'),
});

/** Models with linear attention by the gated delta rule. */
export const DELTA_MODELS: Readonly<Record<string, GgufArchitecture>> = {
  qwen35: {
    modelType: 'qwen3_5_text',
    architectures: 'Qwen3_5ForCausalLM',
    layer: { ...QWEN35_DELTA, ...GATED_MLP },
    changes: QWEN35_CHANGES,
    wholeNorms: { butNot: ['ssm_norm'] },
    config: qwen35,
  },
  qwen35moe: {
    modelType: 'qwen3_5_moe_text',
    architectures: 'Qwen3_5MoeForCausalLM',
    layer: { ...QWEN35_DELTA, ...EXPERTS, ...SHARED_EXPERT },
    changes: QWEN35_CHANGES,
    wholeNorms: { butNot: ['ssm_norm'] },
    config: (numbers) => ({ ...qwen35(numbers), ...sharedExperts(numbers) }),
  },
  qwen3next: {
    modelType: 'qwen3_next',
    architectures: 'Qwen3NextForCausalLM',
    layer: {
      ...DELTA,
      ...EXPERTS,
      ...SHARED_EXPERT,
      ssm_ba: 'linear_attn.in_proj_ba',
      // As files had it at first.
      ssm_in: 'linear_attn.in_proj_qkvz',
    },
    changes: DELTA_CHANGES,
    joins: [
      {
        as: 'linear_attn.in_proj_qkvz.weight',
        of: ['attn_qkv.weight', 'attn_gate.weight'],
        by: ([qkv, z], numbers) => {
          const sizes = deltaSizes(numbers);
          const key = sizes.linear_key_head_dim;
          const value =
            (sizes.linear_value_head_dim * sizes.linear_num_value_heads) / sizes.linear_num_key_heads;
          const order = perHead(sizes.linear_num_key_heads, key, key, value, value);
          return qkv && z ? runsOf(order, [qkv, z]) : [];
        },
      },
    ],
    wholeNorms: { butNot: ['ssm_norm'] },
    config: (numbers) => ({
      ...delta(numbers),
      ...rotaryPart(numbers),
      ...sharedExperts(numbers),
      norm_topk_prob: true,
      decoder_sparse_step: 1,
      mlp_only_layers: [],
    }),
  },
};
