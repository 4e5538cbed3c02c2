/** What a published config.json says, beside its sizes, and what it means. */
export interface PublishedConfig {
  readonly name: string;
  readonly dict: Readonly<Record<string, unknown>>;
  /** Absent where the checkpoint is quantised in a format that is refused. */
  readonly means: Meaning | undefined;
}

interface Meaning {
  readonly numKeyValueHeads: number;
  readonly headDim: number;
  readonly theta: number;
  readonly scaling: string;
  readonly dtype: string;
  readonly tieWordEmbeddings: boolean;
  /** The window of every layer. */
  readonly window?: number;
}

type Says = Readonly<Record<string, unknown>>;
/** Hidden and intermediate size, layers, heads, vocabulary, positions. */
type Sizes = readonly [number, number, number, number, number, number];

const llama3 = (factor: number) => ({
  rope_type: 'llama3',
  factor,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
});

// biome-ignore format: one checkpoint a line
const ROWS: ReadonlyArray<readonly [name: string, family: string, sizes: Sizes, says: Says, means: Meaning | undefined]> = [
  ['CodeLlama-34b-Instruct-hf', 'llama', [8192, 22_016, 48, 64, 32_000, 16_384], { num_key_value_heads: 8, rope_theta: 1_000_000, rope_scaling: null, torch_dtype: 'bfloat16', rms_norm_eps: 1e-05 }, { numKeyValueHeads: 8, headDim: 128, theta: 1_000_000, scaling: 'default', dtype: 'bf16', tieWordEmbeddings: false }],
  ['LWM-Text-Chat-1M', 'llama', [4096, 11_008, 32, 32, 32_000, 2048], { torch_dtype: 'float16', rms_norm_eps: 1e-06 }, { numKeyValueHeads: 32, headDim: 128, theta: 10_000, scaling: 'default', dtype: 'f16', tieWordEmbeddings: false }],
  ['Llama-2-13b-chat-hf', 'llama', [5120, 13_824, 40, 40, 32_000, 4096], { num_key_value_heads: 40, rope_scaling: null, torch_dtype: 'float16', rms_norm_eps: 1e-05 }, { numKeyValueHeads: 40, headDim: 128, theta: 10_000, scaling: 'default', dtype: 'f16', tieWordEmbeddings: false }],
  ['Llama-2-7b-chat-hf', 'llama', [4096, 11_008, 32, 32, 32_000, 4096], { num_key_value_heads: 32, rope_scaling: null, torch_dtype: 'float16', rms_norm_eps: 1e-05 }, { numKeyValueHeads: 32, headDim: 128, theta: 10_000, scaling: 'default', dtype: 'f16', tieWordEmbeddings: false }],
  ['Llama-2-7b-hf', 'llama', [4096, 11_008, 32, 32, 32_000, 4096], { num_key_value_heads: 32, rope_scaling: null, torch_dtype: 'float16', rms_norm_eps: 1e-05 }, { numKeyValueHeads: 32, headDim: 128, theta: 10_000, scaling: 'default', dtype: 'f16', tieWordEmbeddings: false }],
  ['Llama-3.2-1B-Instruct', 'llama', [2048, 8192, 16, 32, 128_256, 131_072], { num_key_value_heads: 8, head_dim: 64, rope_theta: 500_000, rope_scaling: llama3(32), attention_bias: false, mlp_bias: false, torch_dtype: 'bfloat16', rms_norm_eps: 1e-05, tie_word_embeddings: true }, { numKeyValueHeads: 8, headDim: 64, theta: 500_000, scaling: 'llama3', dtype: 'bf16', tieWordEmbeddings: true }],
  ['Llama-3.2-3B-Instruct', 'llama', [3072, 8192, 28, 24, 128_256, 131_072], { num_key_value_heads: 8, head_dim: 128, rope_theta: 500_000, rope_scaling: llama3(32), attention_bias: false, mlp_bias: false, torch_dtype: 'bfloat16', rms_norm_eps: 1e-05, tie_word_embeddings: true }, { numKeyValueHeads: 8, headDim: 128, theta: 500_000, scaling: 'llama3', dtype: 'bf16', tieWordEmbeddings: true }],
  ['Meta-Llama-3-8B', 'llama', [4096, 14_336, 32, 32, 128_256, 8192], { num_key_value_heads: 8, rope_theta: 500_000, rope_scaling: null, attention_bias: false, torch_dtype: 'bfloat16', rms_norm_eps: 1e-05 }, { numKeyValueHeads: 8, headDim: 128, theta: 500_000, scaling: 'default', dtype: 'bf16', tieWordEmbeddings: false }],
  ['Meta-Llama-3.1-70B', 'llama', [8192, 28_672, 80, 64, 128_256, 131_072], { num_key_value_heads: 8, rope_theta: 500_000, rope_scaling: llama3(8), attention_bias: false, mlp_bias: false, torch_dtype: 'bfloat16', rms_norm_eps: 1e-05 }, { numKeyValueHeads: 8, headDim: 128, theta: 500_000, scaling: 'llama3', dtype: 'bf16', tieWordEmbeddings: false }],
  ['Meta-Llama-3.1-8B', 'llama', [4096, 14_336, 32, 32, 128_256, 131_072], { num_key_value_heads: 8, rope_theta: 500_000, rope_scaling: llama3(8), attention_bias: false, mlp_bias: false, torch_dtype: 'bfloat16', rms_norm_eps: 1e-05 }, { numKeyValueHeads: 8, headDim: 128, theta: 500_000, scaling: 'llama3', dtype: 'bf16', tieWordEmbeddings: false }],
  ['TinyLlama-1.1B-Chat-v1.0-bnb-4bit', 'llama', [2048, 5632, 22, 32, 32_000, 2048], { num_key_value_heads: 4, head_dim: 64, rope_theta: 10_000, rope_scaling: null, attention_bias: false, mlp_bias: false, torch_dtype: 'bfloat16', rms_norm_eps: 1e-05, quantization_config: { quant_method: 'bitsandbytes' } }, undefined],
  ['TinyLlama-1.1B-Chat-v1.0', 'llama', [2048, 5632, 22, 32, 32_000, 2048], { num_key_value_heads: 4, head_dim: 64, rope_theta: 10_000, rope_scaling: null, attention_bias: false, mlp_bias: false, dtype: 'float32', rms_norm_eps: 1e-05 }, { numKeyValueHeads: 4, headDim: 64, theta: 10_000, scaling: 'default', dtype: 'f32', tieWordEmbeddings: false }],
  ['Yi-34B', 'llama', [7168, 20_480, 60, 56, 64_000, 4096], { num_key_value_heads: 8, rope_theta: 5_000_000, rope_scaling: null, torch_dtype: 'bfloat16', rms_norm_eps: 1e-05 }, { numKeyValueHeads: 8, headDim: 128, theta: 5_000_000, scaling: 'default', dtype: 'bf16', tieWordEmbeddings: false }],
  ['nvidia-Llama-3.1-70B-Instruct-FP8', 'llama', [8192, 28_672, 80, 64, 128_256, 131_072], { num_key_value_heads: 8, rope_theta: 500_000, rope_scaling: llama3(8), attention_bias: false, mlp_bias: false, torch_dtype: 'bfloat16', rms_norm_eps: 1e-05 }, { numKeyValueHeads: 8, headDim: 128, theta: 500_000, scaling: 'llama3', dtype: 'bf16', tieWordEmbeddings: false }],
  ['vicuna-7b-v1.3', 'llama', [4096, 11_008, 32, 32, 32_000, 2048], { torch_dtype: 'float16', rms_norm_eps: 1e-06 }, { numKeyValueHeads: 32, headDim: 128, theta: 10_000, scaling: 'default', dtype: 'f16', tieWordEmbeddings: false }],
  ['xgen-7b-8k-inst', 'llama', [4096, 11_008, 32, 32, 51_200, 8192], { torch_dtype: 'float32', rms_norm_eps: 1e-06 }, { numKeyValueHeads: 32, headDim: 128, theta: 10_000, scaling: 'default', dtype: 'f32', tieWordEmbeddings: false }],
  ['Mistral-Nemo-Base-2407', 'mistral', [5120, 14_336, 40, 32, 131_072, 128_000], { num_key_value_heads: 8, head_dim: 128, rope_theta: 1_000_000, sliding_window: null, torch_dtype: 'bfloat16', rms_norm_eps: 1e-05 }, { numKeyValueHeads: 8, headDim: 128, theta: 1_000_000, scaling: 'default', dtype: 'bf16', tieWordEmbeddings: false }],
  ['Mistral-Nemo-Instruct-2407', 'mistral', [5120, 14_336, 40, 32, 131_072, 131_072], { num_key_value_heads: 8, head_dim: 128, rope_theta: 1_000_000, sliding_window: null, torch_dtype: 'bfloat16', rms_norm_eps: 1e-05 }, { numKeyValueHeads: 8, headDim: 128, theta: 1_000_000, scaling: 'default', dtype: 'bf16', tieWordEmbeddings: false }],
  ['Qwen1.5-0.5B-Chat', 'qwen2', [1024, 2816, 24, 16, 151_936, 32_768], { num_key_value_heads: 16, rope_theta: 1_000_000, sliding_window: 32_768, use_sliding_window: false, max_window_layers: 21, torch_dtype: 'bfloat16', rms_norm_eps: 1e-06, tie_word_embeddings: true }, { numKeyValueHeads: 16, headDim: 64, theta: 1_000_000, scaling: 'default', dtype: 'bf16', tieWordEmbeddings: true }],
  ['Qwen2-1.5B-Instruct', 'qwen2', [1536, 8960, 28, 12, 151_936, 32_768], { num_key_value_heads: 2, rope_theta: 1_000_000, sliding_window: 32_768, use_sliding_window: false, max_window_layers: 28, torch_dtype: 'bfloat16', rms_norm_eps: 1e-06, tie_word_embeddings: true }, { numKeyValueHeads: 2, headDim: 128, theta: 1_000_000, scaling: 'default', dtype: 'bf16', tieWordEmbeddings: true }],
  ['Qwen2-7B-Instruct', 'qwen2', [3584, 18_944, 28, 28, 152_064, 32_768], { num_key_value_heads: 4, rope_theta: 1_000_000, sliding_window: 131_072, use_sliding_window: false, max_window_layers: 28, torch_dtype: 'bfloat16', rms_norm_eps: 1e-06 }, { numKeyValueHeads: 4, headDim: 128, theta: 1_000_000, scaling: 'default', dtype: 'bf16', tieWordEmbeddings: false }],
  ['Qwen2.5-7B-Instruct', 'qwen2', [3584, 18_944, 28, 28, 152_064, 32_768], { num_key_value_heads: 4, rope_theta: 1_000_000, sliding_window: 131_072, use_sliding_window: false, max_window_layers: 28, torch_dtype: 'bfloat16', rms_norm_eps: 1e-06 }, { numKeyValueHeads: 4, headDim: 128, theta: 1_000_000, scaling: 'default', dtype: 'bf16', tieWordEmbeddings: false }],
  ['Qwen3-0.6B', 'qwen3', [1024, 3072, 28, 16, 151_936, 40_960], { num_key_value_heads: 8, head_dim: 128, rope_theta: 1_000_000, rope_scaling: null, sliding_window: null, use_sliding_window: false, max_window_layers: 28, attention_bias: false, torch_dtype: 'bfloat16', rms_norm_eps: 1e-06, tie_word_embeddings: true }, { numKeyValueHeads: 8, headDim: 128, theta: 1_000_000, scaling: 'default', dtype: 'bf16', tieWordEmbeddings: true }],
  ['Qwen3-14B', 'qwen3', [5120, 17_408, 40, 40, 151_936, 40_960], { num_key_value_heads: 8, head_dim: 128, rope_theta: 1_000_000, rope_scaling: null, sliding_window: null, use_sliding_window: false, max_window_layers: 40, attention_bias: false, torch_dtype: 'bfloat16', rms_norm_eps: 1e-06 }, { numKeyValueHeads: 8, headDim: 128, theta: 1_000_000, scaling: 'default', dtype: 'bf16', tieWordEmbeddings: false }],
  ['Qwen3-32B-AWQ', 'qwen3', [5120, 25_600, 64, 64, 151_936, 40_960], { num_key_value_heads: 8, head_dim: 128, rope_parameters: { rope_theta: 1_000_000, rope_type: 'default' }, sliding_window: null, use_sliding_window: false, max_window_layers: 64, attention_bias: false, dtype: 'float16', rms_norm_eps: 1e-06, quantization_config: { quant_method: 'awq' } }, undefined],
  ['Qwen3-32B-FP8', 'qwen3', [5120, 25_600, 64, 64, 151_936, 40_960], { num_key_value_heads: 8, head_dim: 128, rope_theta: 1_000_000, rope_scaling: null, sliding_window: null, use_sliding_window: false, max_window_layers: 64, attention_bias: false, torch_dtype: 'bfloat16', rms_norm_eps: 1e-06, quantization_config: { quant_method: 'fp8' } }, undefined],
  ['Qwen3-4B-saved-by-transformers-5.2', 'qwen3', [2560, 9728, 36, 32, 151_936, 40_960], { num_key_value_heads: 8, head_dim: 128, rope_parameters: { rope_theta: 1_000_000, rope_type: 'default' }, sliding_window: null, use_sliding_window: false, max_window_layers: 36, attention_bias: false, dtype: 'float16', rms_norm_eps: 1e-06, tie_word_embeddings: true }, { numKeyValueHeads: 8, headDim: 128, theta: 1_000_000, scaling: 'default', dtype: 'f16', tieWordEmbeddings: true }],
  ['Qwen3-4B', 'qwen3', [2560, 9728, 36, 32, 151_936, 40_960], { num_key_value_heads: 8, head_dim: 128, rope_theta: 1_000_000, rope_scaling: null, sliding_window: null, use_sliding_window: false, max_window_layers: 36, attention_bias: false, torch_dtype: 'bfloat16', rms_norm_eps: 1e-06, tie_word_embeddings: true }, { numKeyValueHeads: 8, headDim: 128, theta: 1_000_000, scaling: 'default', dtype: 'bf16', tieWordEmbeddings: true }],
  ['Mistral-7B-v0.1', 'mistral', [4096, 14_336, 32, 32, 32_000, 32_768], { num_key_value_heads: 8, sliding_window: 4096, rope_theta: 10_000, torch_dtype: 'bfloat16' }, { numKeyValueHeads: 8, headDim: 128, theta: 10_000, scaling: 'default', dtype: 'bf16', tieWordEmbeddings: false, window: 4096 }],
];

/** The keys that they all have and that change nothing. */
const BESIDE = {
  architectures: ['ForCausalLM'],
  transformers_version: '4.40.0',
  _name_or_path: '',
  initializer_range: 0.02,
  attention_dropout: 0,
  pretraining_tp: 1,
  use_cache: true,
  hidden_act: 'silu',
};

export const PUBLISHED: readonly PublishedConfig[] = ROWS.map(([name, family, sizes, says, means]) => {
  const [hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, vocab_size, positions] =
    sizes;
  const dict = {
    ...BESIDE,
    model_type: family,
    hidden_size,
    intermediate_size,
    num_hidden_layers,
    num_attention_heads,
    vocab_size,
    max_position_embeddings: positions,
    ...says,
  };
  return { name, dict, means };
});
