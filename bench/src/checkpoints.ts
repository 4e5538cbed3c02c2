import { closeSync, existsSync, mkdirSync, openSync, renameSync, writeFileSync, writevSync } from 'node:fs';
import { join } from 'node:path';
import { BLOCKS, type PoolFormat, type RandomPool } from './random-pool.js';
import { CONTEXT, type ModelShape, type TensorPlan, tensorPlans } from './shapes.js';

/** Number formats of a peer's file: what its own tool would choose for the matrices. */
export type GgufFormat = 'bf16' | 'q8_0' | 'q4_0';

/** A tensor of a Hugging Face directory. */
export type CheckpointTensor = Pick<TensorPlan, 'hf' | 'shape' | 'kind'>;

const numel = (t: CheckpointTensor) => t.shape.reduce((a, b) => a * b, 1);
const std = (t: CheckpointTensor) => (t.kind === 'bias' ? 0.125 : 1 / Math.sqrt(t.shape.at(-1) as number));

function* ones(count: number, bytes: 2 | 4): Generator<Buffer> {
  const out = Buffer.alloc(count * bytes);
  for (let i = 0; i < count; i++) bytes === 4 ? out.writeFloatLE(1, i * 4) : out.writeUInt16LE(0x3f80, i * 2);
  yield out;
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
    writeAll(fd, t.kind === 'norm' ? ones(numel(t), 2) : pool.cut('bf16', numel(t), std(t), i));
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
    const end = offset + numel(t) * 2;
    header[t.hf] = { dtype: 'BF16', shape: t.shape, data_offsets: [offset, end] };
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

/** Writes GGUF's little-endian key-value header. */
class GgufHeader {
  private readonly pieces: Buffer[] = [];
  private u32(v: number) {
    const b = Buffer.alloc(4);
    b.writeUInt32LE(v);
    this.pieces.push(b);
  }
  private u64(v: number) {
    const b = Buffer.alloc(8);
    b.writeBigUInt64LE(BigInt(v));
    this.pieces.push(b);
  }
  private text(s: string) {
    this.u64(Buffer.byteLength(s));
    this.pieces.push(Buffer.from(s));
  }
  start(tensors: number, keys: number): void {
    this.pieces.push(Buffer.from('GGUF'));
    this.u32(3);
    this.u64(tensors);
    this.u64(keys);
  }
  string(key: string, value: string): void {
    this.text(key);
    this.u32(8);
    this.text(value);
  }
  uint(key: string, value: number): void {
    this.text(key);
    this.u32(4);
    this.u32(value);
  }
  float(key: string, value: number): void {
    this.text(key);
    this.u32(6);
    const b = Buffer.alloc(4);
    b.writeFloatLE(value);
    this.pieces.push(b);
  }
  strings(key: string, values: readonly string[]): void {
    this.text(key);
    this.u32(9);
    this.u32(8);
    this.u64(values.length);
    for (const v of values) this.text(v);
  }
  numbers(key: string, type: 'i32' | 'f32', values: readonly number[]): void {
    this.text(key);
    this.u32(9);
    this.u32(type === 'i32' ? 5 : 6);
    this.u64(values.length);
    this.pieces.push(
      Buffer.from((type === 'i32' ? Int32Array.from(values) : Float32Array.from(values)).buffer),
    );
  }
  tensor(name: string, shape: readonly number[], type: number, offset: number): void {
    this.text(name);
    this.u32(shape.length);
    for (const d of [...shape].reverse()) this.u64(d);
    this.u32(type);
    this.u64(offset);
  }
  finish(): Buffer {
    const all = Buffer.concat(this.pieces);
    return Buffer.concat([all, Buffer.alloc((32 - (all.length % 32)) % 32)]);
  }
}

function ggufFormat(t: TensorPlan, format: GgufFormat): PoolFormat {
  if (t.kind === 'norm' || t.kind === 'bias') return 'f32';
  if (format !== 'q4_0' || t.kind !== 'embedding') return format;
  // llama.cpp's own quantiser keeps a tied embedding, which is also the output matrix, at 6 or 8 bits.
  return (t.shape.at(-1) as number) % 256 === 0 ? 'q6_k' : 'q8_0';
}

/** The same weights as a GGUF file for llama.cpp; made once per folder. */
export function writeGguf(shape: ModelShape, format: GgufFormat, pool: RandomPool, folder: string): string {
  const file = join(folder, `${shape.name}-${format}.gguf`);
  if (existsSync(file)) return file;
  const plans = tensorPlans(shape);
  const arch = shape.modelType;
  const h = new GgufHeader();
  h.start(plans.length, 19);
  h.string('general.architecture', arch);
  h.string('general.name', shape.name);
  h.uint(`${arch}.context_length`, CONTEXT);
  h.uint(`${arch}.embedding_length`, shape.hidden);
  h.uint(`${arch}.block_count`, shape.layers);
  h.uint(`${arch}.feed_forward_length`, shape.intermediate);
  h.uint(`${arch}.attention.head_count`, shape.heads);
  h.uint(`${arch}.attention.head_count_kv`, shape.kvHeads);
  h.uint(`${arch}.rope.dimension_count`, shape.headDim);
  h.float(`${arch}.rope.freq_base`, shape.ropeTheta);
  h.float(`${arch}.attention.layer_norm_rms_epsilon`, 1e-5);
  h.uint(`${arch}.vocab_size`, shape.vocab);
  h.string('tokenizer.ggml.model', 'llama');
  // A dummy vocabulary of the real size; llama.cpp wants the three control tokens and the 256 byte tokens in it.
  const special = ['<unk>', '<s>', '</s>'];
  const byte = (i: number) => `<0x${(i - 3).toString(16).toUpperCase().padStart(2, '0')}>`;
  const tokens = Array.from({ length: shape.vocab }, (_, i) => special[i] ?? (i < 259 ? byte(i) : `t${i}`));
  h.strings('tokenizer.ggml.tokens', tokens);
  h.numbers('tokenizer.ggml.scores', 'f32', new Array(shape.vocab).fill(0));
  h.numbers(
    'tokenizer.ggml.token_type',
    'i32',
    tokens.map((_, i) => (i === 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1)),
  );
  h.uint('tokenizer.ggml.bos_token_id', 1);
  h.uint('tokenizer.ggml.eos_token_id', 2);
  h.uint('tokenizer.ggml.unknown_token_id', 0);
  let offset = 0;
  for (const t of plans) {
    const block = BLOCKS[ggufFormat(t, format)];
    h.tensor(t.gguf, t.shape, block.ggmlType, offset);
    const bytes = (numel(t) / block.elements) * block.bytes;
    offset += Math.ceil(bytes / 32) * 32;
  }
  const fd = openSync(`${file}.part`, 'w');
  writeAll(fd, [h.finish()]);
  plans.forEach((t, i) => {
    const poolFormat = ggufFormat(t, format);
    const bytes = writeAll(
      fd,
      t.kind === 'norm' ? ones(numel(t), 4) : pool.cut(poolFormat, numel(t), std(t), i),
    );
    writeAll(fd, [Buffer.alloc((32 - (bytes % 32)) % 32)]);
  });
  closeSync(fd);
  renameSync(`${file}.part`, file);
  return file;
}
