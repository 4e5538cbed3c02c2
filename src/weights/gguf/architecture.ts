import type { Change, Join } from './changes.js';
import type { GgufNumbers } from './numbers.js';

/** How tensors and metadata of an architecture of GGUF are called by the `model_type` that it becomes. */
export interface GgufArchitecture {
  readonly modelType: string;
  readonly architectures: string;
  /**
   * What stands behind `blk.N.` → what stands behind `model.layers.N.`, without `.weight` and `.bias`; or with them on
   * both sides. A `*` stands for the matrices of a stack, one after another; `{a,b}` for equal parts of rows.
   */
  readonly layer: Readonly<Record<string, string>>;
  /** The same of what stands beside layers, where it differs from or comes beside OUTER. */
  readonly outer?: Readonly<Record<string, string>>;
  /** What stands before a layer's number; `model.layers` when absent. */
  readonly layers?: string;
  /** What becomes of tensors, by their names within a layer in the files, without `.weight` and `.bias`. */
  readonly changes?: Readonly<Record<string, Change>>;
  readonly joins?: readonly Join[];
  /** Norms are stored as the factors that they are, one more than Hugging Face stores: all but these. */
  readonly wholeNorms?: { readonly butNot: readonly string[] };
  /** Its configuration says whether projections of attention have biases. */
  readonly saysBiases?: boolean;
  /** What config.json says beside what all have. */
  readonly config?: (numbers: GgufNumbers) => Readonly<Record<string, unknown>>;
}

/** What stands beside the layers. */
export const OUTER: Readonly<Record<string, string>> = {
  token_embd: 'model.embed_tokens',
  output_norm: 'model.norm',
  output: 'lm_head',
};

export const ATTENTION = {
  attn_norm: 'input_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
};
export const HEAD_NORMS = { attn_q_norm: 'self_attn.q_norm', attn_k_norm: 'self_attn.k_norm' };
export const GATED_MLP = { ffn_gate: 'mlp.gate_proj', ffn_up: 'mlp.up_proj', ffn_down: 'mlp.down_proj' };
export const LLAMA = { ...ATTENTION, ffn_norm: 'post_attention_layernorm', ...GATED_MLP };
export const EXPERTS = {
  ffn_gate_inp: 'mlp.gate',
  ffn_gate_exps: 'mlp.experts.*.gate_proj',
  ffn_up_exps: 'mlp.experts.*.up_proj',
  ffn_gate_up_exps: 'mlp.experts.*.{gate_proj,up_proj}',
  ffn_down_exps: 'mlp.experts.*.down_proj',
};
export const SHARED_EXPERT = {
  ffn_gate_inp_shexp: 'mlp.shared_expert_gate',
  ffn_gate_shexp: 'mlp.shared_expert.gate_proj',
  ffn_up_shexp: 'mlp.shared_expert.up_proj',
  ffn_down_shexp: 'mlp.shared_expert.down_proj',
};
/** Experts as DeepSeek names them, and what corrects the choice among them. */
export const CORRECTED_EXPERTS = {
  ...EXPERTS,
  'exp_probs_b.bias': 'mlp.gate.e_score_correction_bias',
  ffn_gate_shexp: 'mlp.shared_experts.gate_proj',
  ffn_up_shexp: 'mlp.shared_experts.up_proj',
  ffn_down_shexp: 'mlp.shared_experts.down_proj',
};
/** Norms before and behind attention and MLP. */
export const SANDWICH = {
  ...ATTENTION,
  post_attention_norm: 'post_attention_layernorm',
  ffn_norm: 'pre_feedforward_layernorm',
  post_ffw_norm: 'post_feedforward_layernorm',
  ...GATED_MLP,
};

/** What config.json of a model says that turns nothing by positions. */
export const TURNS_NOTHING = { rope_theta: undefined };
/** The same of one whose heads have keys of their own. */
export const OWN_KEYS = { num_key_value_heads: undefined };

/** What part of a head turns. */
export const rotaryPart = (numbers: GgufNumbers) => ({
  partial_rotary_factor:
    numbers.number('rope.dimension_count') /
    (numbers.optional('attention.key_length') ??
      numbers.number('embedding_length') / numbers.number('attention.head_count')),
});

/** YaRN, as `rope_scaling` says it. */
export const yarn = (numbers: GgufNumbers) => ({
  rope_type: 'yarn',
  factor: numbers.number('rope.scaling.factor'),
  original_max_position_embeddings:
    numbers.optional('rope.scaling.original_context_length') ?? numbers.number('context_length'),
  beta_fast: numbers.optional('rope.scaling.yarn_beta_fast'),
  beta_slow: numbers.optional('rope.scaling.yarn_beta_slow'),
});

/** The experts of Qwen. */
export const experts = (numbers: GgufNumbers) => ({
  num_experts: numbers.number('expert_count'),
  num_experts_per_tok: numbers.number('expert_used_count'),
  moe_intermediate_size: numbers.number('expert_feed_forward_length'),
});

const SIGMOID = 2;

/** The experts of DeepSeek, and of those who follow it. */
export const groupedExperts = (numbers: GgufNumbers) => ({
  n_routed_experts: numbers.number('expert_count'),
  num_experts_per_tok: numbers.number('expert_used_count'),
  moe_intermediate_size: numbers.number('expert_feed_forward_length'),
  n_shared_experts: numbers.optional('expert_shared_count') ?? 0,
  first_k_dense_replace: numbers.optional('leading_dense_block_count') ?? 0,
  routed_scaling_factor: numbers.optional('expert_weights_scale') ?? 1,
  norm_topk_prob: numbers.flag('expert_weights_norm'),
});

/** Whether routers take sigmoids. Files from before this was told have a correction only beside these. */
export const takesSigmoids = (numbers: GgufNumbers): boolean =>
  (numbers.optional('expert_gating_func') ?? (correctsExperts(numbers) ? SIGMOID : 0)) === SIGMOID;

export const correctsExperts = (numbers: GgufNumbers): boolean =>
  Array.from({ length: numbers.layers }, (_, layer) => layer).some((layer) =>
    numbers.has(`blk.${layer}.exp_probs_b.bias`),
  );

/** Layers see a window, but for every so manieth. */
export const windowTypes = (numbers: GgufNumbers, every: number) =>
  Array.from({ length: numbers.layers }, (_, layer) =>
    (layer + 1) % every === 0 ? 'full_attention' : 'sliding_attention',
  );

/** Which layers see a window, as the file says it; else every so manieth sees all. */
export const toldWindowTypes = (numbers: GgufNumbers, every: number) =>
  numbers
    .perLayer('attention.sliding_window_pattern')
    ?.map((slides) => (slides ? 'sliding_attention' : 'full_attention')) ?? windowTypes(numbers, every);
