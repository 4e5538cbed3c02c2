import { closeSync, existsSync, mkdirSync, openSync, writeFileSync, writevSync } from 'node:fs';
import { join } from 'node:path';
import type { RandomPool } from './random-pool.js';
import { CONTEXT, type ModelShape, type TensorPlan, tensorPlans } from './shapes.js';

/** A tensor of a Hugging Face directory. */
export interface CheckpointTensor extends Pick<TensorPlan, 'hf' | 'shape'> {
  /** `numbers`: 64-bit integers that count up from 0 in each row. */
  readonly kind: TensorPlan['kind'] | 'numbers';
}

export const numel = (t: Pick<CheckpointTensor, 'shape'>) => t.shape.reduce((a, b) => a * b, 1);
/** The standard deviation of a tensor's random numbers. */
export const std = (t: CheckpointTensor) =>
  t.kind === 'bias' ? 0.125 : 1 / Math.sqrt(t.shape.at(-1) as number);

export function* ones(count: number, bytes: 2 | 4): Generator<Buffer> {
  const out = Buffer.alloc(count * bytes);
  for (let i = 0; i < count; i++) bytes === 4 ? out.writeFloatLE(1, i * 4) : out.writeUInt16LE(0x3f80, i * 2);
  yield out;
}

function* numbers({ shape }: CheckpointTensor): Generator<Buffer> {
  const row = BigInt64Array.from({ length: shape.at(-1) as number }, (_, i) => BigInt(i));
  for (let i = 0; i < numel({ shape: shape.slice(0, -1) }); i++) yield Buffer.from(row.buffer);
}

export function writeAll(fd: number, pieces: Iterable<Buffer>): number {
  let total = 0;
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; ) at += writevSync(fd, [piece.subarray(at)]);
    total += piece.length;
  }
  return total;
}

/** A Hugging Face directory of this shape with random bf16 weights; made once per folder. */
export function writeCheckpoint(shape: ModelShape, pool: RandomPool, folder: string): string {
  return writeHuggingFace(join(folder, `${shape.name}-hf`), tensorPlans(shape), configOf(shape), pool);
}

/** A tokenizer for such a directory: each of the words is a token, and the rest of the vocabulary is there, too. */
export function writeTokenizer(shape: ModelShape, words: readonly string[], dir: string): void {
  const first = ['<unk>', '<s>', '</s>', ...words];
  const vocab = Object.fromEntries(Array.from({ length: shape.vocab }, (_, i) => [first[i] ?? `t${i}`, i]));
  const tokenizer = {
    version: '1.0',
    ...{ truncation: null, padding: null, normalizer: null, post_processor: null, decoder: null },
    added_tokens: [],
    pre_tokenizer: { type: 'WhitespaceSplit' },
    model: { type: 'WordLevel', vocab, unk_token: '<unk>' },
  };
  writeFileSync(join(dir, 'tokenizer.json'), JSON.stringify(tokenizer));
}

/** A directory of these tensors, random in bf16, and this configuration, unless it is there. */
export function writeHuggingFace(
  dir: string,
  plans: readonly CheckpointTensor[],
  config: object,
  pool: RandomPool,
): string {
  if (existsSync(join(dir, 'config.json'))) return dir;
  mkdirSync(dir, { recursive: true });
  const fd = openSync(join(dir, 'model.safetensors'), 'w');
  writeHeader(fd, plans);
  plans.forEach((t, i) => {
    if (t.kind === 'numbers') writeAll(fd, numbers(t));
    else writeAll(fd, t.kind === 'norm' ? ones(numel(t), 2) : pool.cut('bf16', numel(t), std(t), i));
  });
  closeSync(fd);
  writeFileSync(join(dir, 'config.json'), JSON.stringify(config, null, 2));
  return dir;
}

/** What a safetensors file of bf16 begins with. */
export function writeHeader(fd: number, plans: readonly CheckpointTensor[]): void {
  let offset = 0;
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  for (const t of plans) {
    const isInteger = t.kind === 'numbers';
    const end = offset + numel(t) * (isInteger ? 8 : 2);
    header[t.hf] = { dtype: isInteger ? 'I64' : 'BF16', shape: t.shape, data_offsets: [offset, end] };
    offset = end;
  }
  const text = Buffer.from(JSON.stringify(header));
  const padded = Buffer.concat([text, Buffer.alloc((8 - (text.length % 8)) % 8, 0x20)]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  writeAll(fd, [length, padded]);
}

const configOf = (shape: ModelShape): object => ({
  architectures: [shape.modelType === 'llama' ? 'LlamaForCausalLM' : 'Qwen2ForCausalLM'],
  model_type: shape.modelType,
  hidden_size: shape.hidden,
  intermediate_size: shape.intermediate,
  num_hidden_layers: shape.layers,
  num_attention_heads: shape.heads,
  num_key_value_heads: shape.kvHeads,
  head_dim: shape.headDim,
  vocab_size: shape.vocab,
  max_position_embeddings: CONTEXT,
  rms_norm_eps: 1e-5,
  rope_theta: shape.ropeTheta,
  hidden_act: 'silu',
  tie_word_embeddings: true,
  torch_dtype: 'bfloat16',
  bos_token_id: 1,
  eos_token_id: 2,
});
