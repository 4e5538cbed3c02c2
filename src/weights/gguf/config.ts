import { yarn } from './architecture.js';
import type { GgufModel } from './model-file.js';
import { readSmallFloats } from './small-floats.js';

/** Texts that end an answer in one family or another, as llama.cpp takes them beside those that the file names. */
const ENDS = [
  ...[
    '<|eot_id|>',
    '<|im_end|>',
    '<|end|>',
    '<end_of_turn>',
    '<|endoftext|>',
    '<|eom_id|>',
    '<|end_of_text|>',
  ],
];
const CONTROL = 3;

/** The config.json that a GGUF file stands for. Throws CONFIG_INVALID, WEIGHT_FILE_*. */
export async function ggufConfig(model: GgufModel): Promise<Readonly<Record<string, unknown>>> {
  const { architecture } = model;
  const heads = model.number('attention.head_count');
  const hidden = model.number('embedding_length');
  const embedding = model.stored('token_embd.weight') ?? model.fail('token_embd.weight is missing');
  return {
    model_type: architecture.modelType,
    architectures: [architecture.architectures],
    hidden_size: hidden,
    intermediate_size: model.shared('feed_forward_length'),
    num_hidden_layers: model.layers,
    num_attention_heads: heads,
    num_key_value_heads: model.shared('attention.head_count_kv') ?? heads,
    head_dim: model.optional('attention.key_length') ?? hidden / heads,
    max_position_embeddings: model.number('context_length'),
    vocab_size: embedding.shape[0],
    rms_norm_eps: model.optional('attention.layer_norm_rms_epsilon'),
    rope_theta: model.optional('rope.freq_base') ?? 10_000,
    tie_word_embeddings: !model.has('output.weight'),
    ...(architecture.saysBiases && {
      attention_bias: model.tensors.has('model.layers.0.self_attn.q_proj.bias'),
    }),
    ...(await ropeScaling(model)),
    ...architecture.config?.(model),
    dtype: dtypeOf(embedding.dtype),
    quantization_config: { quant_method: 'gguf' },
  };
}

/** The generation_config.json that a GGUF file stands for. */
export function ggufGenerationConfig(model: GgufModel): Readonly<Record<string, unknown>> {
  const id = (name: string) => {
    const found = model.metadata.get(`tokenizer.ggml.${name}_token_id`);
    return typeof found === 'number' ? found : undefined;
  };
  const tokens = model.list('tokenizer.ggml.tokens', 'string') ?? [];
  const types = model.list('tokenizer.ggml.token_type', 'number') ?? [];
  const ends = ENDS.map((text) => tokens.indexOf(text)).filter((at) => at >= 0 && types[at] === CONTROL);
  const named = [id('eos'), id('eot'), id('eom')].filter((found) => found !== undefined);
  const sampled = (key: string) => model.metadata.get(`general.sampling.${key}`);
  const samples = {
    temperature: sampled('temp'),
    top_k: sampled('top_k'),
    top_p: sampled('top_p'),
    min_p: sampled('min_p'),
  };
  return {
    bos_token_id: id('bos'),
    pad_token_id: id('padding'),
    eos_token_id: [...new Set([...named, ...ends])],
    ...(Object.values(samples).some((value) => value !== undefined) && { do_sample: true, ...samples }),
  };
}

/** What the run computes in: floats as the file has them, bf16 beside integers. */
function dtypeOf(stored: string): string {
  return stored === 'F32' ? 'float32' : stored === 'F16' ? 'float16' : 'bfloat16';
}

/** Factors of frequencies are those of Llama 3's rule, where this gives them, and else a list, as longrope has it. */
async function ropeScaling(model: GgufModel): Promise<Readonly<Record<string, unknown>>> {
  const context = model.number('context_length');
  const original = model.optional('rope.scaling.original_context_length') ?? context;
  const factors = async (name: string): Promise<readonly number[] | undefined> => {
    const stored = model.stored(`${name}.weight`);
    return stored && [...(await readSmallFloats(stored, model.path))];
  };
  const [all, long, short] = await Promise.all(
    ['rope_freqs', 'rope_factors_long', 'rope_factors_short'].map(factors),
  );
  if (all) {
    const llama3 = llama3Scaling(all, model.optional('rope.freq_base') ?? 10_000);
    if (llama3) return { rope_scaling: llama3 };
    const scaling = {
      rope_type: 'longrope',
      factor: 1,
      attention_factor: 1,
      short_factor: all,
      long_factor: all,
    };
    return { rope_scaling: scaling, original_max_position_embeddings: context };
  }
  if (long && short) {
    const scaling = {
      rope_type: 'longrope',
      attention_factor: model.optional('rope.scaling.attn_factor') ?? 1,
      short_factor: short,
      long_factor: long,
    };
    return { rope_scaling: scaling, original_max_position_embeddings: original };
  }
  const type = model.scalingType();
  if (type === undefined || type === 'none') return {};
  if (type === 'linear')
    return { rope_scaling: { rope_type: 'linear', factor: model.number('rope.scaling.factor') } };
  if (type !== 'yarn') return model.fail(`rope.scaling.type must be none, linear or yarn, found ${type}`);
  return { rope_scaling: yarn(model) };
}

/** Llama 3.1 to 3.3 differ in the factor alone, the largest of all (transformers, _compute_llama3_parameters). */
function llama3Scaling(
  factors: readonly number[],
  theta: number,
): Readonly<Record<string, unknown>> | undefined {
  const factor = Math.max(...factors);
  const [low, high, original] = [1, 4, 8192];
  const isGiven = factors.every((found, i) => {
    const turns = (original * theta ** (-i / factors.length)) / (2 * Math.PI);
    const smooth = Math.min(Math.max((turns - low) / (high - low), 0), 1);
    return Math.abs(found * ((1 - smooth) / factor + smooth) - 1) < 1e-4;
  });
  const rule = { low_freq_factor: low, high_freq_factor: high, original_max_position_embeddings: original };
  return isGiven ? { rope_type: 'llama3', factor, ...rule } : undefined;
}
