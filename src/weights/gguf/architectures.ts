/** Numbers that a file's metadata has for its architecture, by their names without that of the architecture. */
export interface GgufNumbers {
  /** @throws CONFIG_INVALID when there is no such number */
  number(key: string): number;
  optional(key: string): number | undefined;
}

/** How tensors and metadata of an architecture of GGUF are called by the `model_type` that it becomes. */
export interface GgufArchitecture {
  readonly modelType: string;
  readonly architectures: string;
  /** What stands behind `blk.N.` → what stands behind `model.layers.N.`, without `.weight` and `.bias`. */
  readonly layer: Readonly<Record<string, string>>;
  /**
   * llama.cpp turns neighbours of a head: rows of queries and keys lie in pairs (2i, 2i + 1), which Hugging Face has half a
   * head apart.
   */
  readonly turnsNeighbours?: boolean;
  /** Norms are stored as the factors that they are, one more than Hugging Face stores. */
  readonly hasWholeNorms?: boolean;
  /** Its configuration says whether projections of attention have biases. */
  readonly saysBiases?: boolean;
  /** What config.json says beside what all have. */
  readonly config?: (numbers: GgufNumbers) => Readonly<Record<string, unknown>>;
}

const ATTENTION = {
  attn_norm: 'input_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
};
const HEAD_NORMS = { attn_q_norm: 'self_attn.q_norm', attn_k_norm: 'self_attn.k_norm' };
const GATED_MLP = { ffn_gate: 'mlp.gate_proj', ffn_up: 'mlp.up_proj', ffn_down: 'mlp.down_proj' };
const LLAMA = { ...ATTENTION, ffn_norm: 'post_attention_layernorm', ...GATED_MLP };
const EXPERTS = {
  ffn_gate_inp: 'mlp.gate',
  ffn_gate_exps: 'mlp.experts.*.gate_proj',
  ffn_up_exps: 'mlp.experts.*.up_proj',
  ffn_down_exps: 'mlp.experts.*.down_proj',
};
const SHARED_EXPERT = {
  ffn_gate_inp_shexp: 'mlp.shared_expert_gate',
  ffn_gate_shexp: 'mlp.shared_expert.gate_proj',
  ffn_up_shexp: 'mlp.shared_expert.up_proj',
  ffn_down_shexp: 'mlp.shared_expert.down_proj',
};
/** Norms before and behind attention and MLP. */
const SANDWICH = {
  ...ATTENTION,
  post_attention_norm: 'post_attention_layernorm',
  ffn_norm: 'pre_feedforward_layernorm',
  post_ffw_norm: 'post_feedforward_layernorm',
  ...GATED_MLP,
};

const experts = (numbers: GgufNumbers) => ({
  num_experts: numbers.number('expert_count'),
  num_experts_per_tok: numbers.number('expert_used_count'),
  moe_intermediate_size: numbers.number('expert_feed_forward_length'),
  decoder_sparse_step: 1,
  mlp_only_layers: [],
});

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

/** Layers see a window, but for every so manieth. */
const windowTypes = (numbers: GgufNumbers, every: number) =>
  Array.from({ length: numbers.number('block_count') }, (_, layer) =>
    (layer + 1) % every === 0 ? 'full_attention' : 'sliding_attention',
  );

const MIXTRAL: GgufArchitecture = {
  modelType: 'mixtral',
  architectures: 'MixtralForCausalLM',
  layer: {
    ...ATTENTION,
    ffn_norm: 'post_attention_layernorm',
    ffn_gate_inp: 'block_sparse_moe.gate',
    ffn_gate_exps: 'block_sparse_moe.experts.*.w1',
    ffn_down_exps: 'block_sparse_moe.experts.*.w2',
    ffn_up_exps: 'block_sparse_moe.experts.*.w3',
  },
  turnsNeighbours: true,
  config: (numbers) => ({
    num_local_experts: numbers.number('expert_count'),
    num_experts_per_tok: numbers.number('expert_used_count'),
  }),
};

/** By `general.architecture`. Those of llama.cpp's converter, as transformers 5.24 maps them where it does. */
const ARCHITECTURES: ReadonlyMap<string, GgufArchitecture> = new Map<string, GgufArchitecture>([
  // Llama, and Mistral, whose class is the same.
  [
    'llama',
    {
      modelType: 'llama',
      architectures: 'LlamaForCausalLM',
      layer: LLAMA,
      turnsNeighbours: true,
      saysBiases: true,
    },
  ],
  ['qwen2', { modelType: 'qwen2', architectures: 'Qwen2ForCausalLM', layer: LLAMA }],
  [
    'qwen2moe',
    {
      modelType: 'qwen2_moe',
      architectures: 'Qwen2MoeForCausalLM',
      layer: { ...ATTENTION, ffn_norm: 'post_attention_layernorm', ...EXPERTS, ...SHARED_EXPERT },
      config: (numbers) => ({
        ...experts(numbers),
        shared_expert_intermediate_size: numbers.number('expert_shared_feed_forward_length'),
        norm_topk_prob: false,
      }),
    },
  ],
  ['qwen3', { modelType: 'qwen3', architectures: 'Qwen3ForCausalLM', layer: { ...LLAMA, ...HEAD_NORMS } }],
  [
    'qwen3moe',
    {
      modelType: 'qwen3_moe',
      architectures: 'Qwen3MoeForCausalLM',
      layer: { ...ATTENTION, ...HEAD_NORMS, ffn_norm: 'post_attention_layernorm', ...EXPERTS },
      config: (numbers) => ({ ...experts(numbers), norm_topk_prob: true }),
    },
  ],
  [
    'gemma',
    {
      modelType: 'gemma',
      architectures: 'GemmaForCausalLM',
      layer: LLAMA,
      hasWholeNorms: true,
      config: () => ({ hidden_activation: 'gelu_pytorch_tanh' }),
    },
  ],
  [
    'gemma2',
    {
      modelType: 'gemma2',
      architectures: 'Gemma2ForCausalLM',
      layer: SANDWICH,
      hasWholeNorms: true,
      config: (numbers) => ({
        ...gemma(numbers, 46),
        attn_logit_softcapping: numbers.optional('attn_logit_softcapping') ?? null,
        sliding_window: numbers.optional('attention.sliding_window') ?? 4096,
        layer_types: windowTypes(numbers, 2),
      }),
    },
  ],
  [
    'gemma3',
    {
      modelType: 'gemma3_text',
      architectures: 'Gemma3ForCausalLM',
      layer: { ...SANDWICH, ...HEAD_NORMS },
      hasWholeNorms: true,
      config: (numbers) => ({
        ...gemma(numbers, 62),
        sliding_window: numbers.number('attention.sliding_window'),
        layer_types: windowTypes(numbers, 6),
        rope_local_base_freq: numbers.optional('rope.freq_base_swa') ?? 10_000,
      }),
    },
  ],
  [
    'phi3',
    {
      modelType: 'phi3',
      architectures: 'Phi3ForCausalLM',
      layer: {
        attn_norm: 'input_layernorm',
        attn_qkv: 'self_attn.qkv_proj',
        attn_output: 'self_attn.o_proj',
        ffn_norm: 'post_attention_layernorm',
        ffn_up: 'mlp.gate_up_proj',
        ffn_down: 'mlp.down_proj',
      },
      config: (numbers) => ({
        sliding_window: numbers.optional('attention.sliding_window') || null,
        partial_rotary_factor:
          (numbers.number('rope.dimension_count') * numbers.number('attention.head_count')) /
          numbers.number('embedding_length'),
      }),
    },
  ],
  [
    'granite',
    {
      modelType: 'granite',
      architectures: 'GraniteForCausalLM',
      layer: LLAMA,
      turnsNeighbours: true,
      config: (numbers) => ({
        embedding_multiplier: numbers.optional('embedding_scale') ?? 1,
        attention_multiplier: numbers.number('attention.scale'),
        residual_multiplier: numbers.optional('residual_scale') ?? 1,
        logits_scaling: numbers.optional('logit_scale') ?? 1,
      }),
    },
  ],
  [
    'smollm3',
    {
      modelType: 'smollm3',
      architectures: 'SmolLM3ForCausalLM',
      layer: LLAMA,
      turnsNeighbours: true,
      // Every fourth layer has no rotary embedding, which the files do not say.
      config: () => ({ no_rope_layer_interval: 4 }),
    },
  ],
  [
    'olmo2',
    {
      modelType: 'olmo2',
      architectures: 'Olmo2ForCausalLM',
      layer: {
        attn_q: 'self_attn.q_proj',
        attn_k: 'self_attn.k_proj',
        attn_v: 'self_attn.v_proj',
        attn_output: 'self_attn.o_proj',
        ...HEAD_NORMS,
        post_attention_norm: 'post_attention_layernorm',
        post_ffw_norm: 'post_feedforward_layernorm',
        ...GATED_MLP,
      },
    },
  ],
  [
    'starcoder2',
    {
      modelType: 'starcoder2',
      architectures: 'Starcoder2ForCausalLM',
      layer: {
        ...ATTENTION,
        ffn_norm: 'post_attention_layernorm',
        ffn_up: 'mlp.c_fc',
        ffn_down: 'mlp.c_proj',
      },
      config: (numbers) => ({
        hidden_act: 'gelu_pytorch_tanh',
        norm_epsilon: numbers.number('attention.layer_norm_epsilon'),
        use_bias: true,
      }),
    },
  ],
]);

export const GGUF_ARCHITECTURES: readonly string[] = [...ARCHITECTURES.keys()];

/** An architecture by its name; undefined for one that is not read. Mixtral is a llama with experts. */
export const ggufArchitecture = (name: string, hasExperts: boolean): GgufArchitecture | undefined =>
  name === 'llama' && hasExperts ? MIXTRAL : ARCHITECTURES.get(name);
