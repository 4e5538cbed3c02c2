import { closeSync, existsSync, openSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { type CheckpointTensor, numel, ones, std, writeAll } from './checkpoints.js';
import { BLOCKS, type PoolFormat, type RandomPool } from './random-pool.js';
import { CONTEXT, type ModelShape, type TensorPlan, tensorPlans } from './shapes.js';

/** Number formats of a peer's file: what its own tool would choose for the matrices. */
export type GgufFormat = 'bf16' | 'q8_0' | 'q4_0';

/** A tensor of a peer's file. */
export interface GgufTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly format: PoolFormat;
  /** The tensors of the checkpoint that it has one behind the other, each with its number there. */
  readonly of: readonly (CheckpointTensor & { readonly index: number })[];
}

/** What a peer's file says of a decoder. */
export interface GgufModel {
  readonly architecture: string;
  readonly vocab: number;
  /** Keys behind the architecture's name. */
  readonly integers: Readonly<Record<string, number>>;
  readonly floats: Readonly<Record<string, number>>;
  readonly tensors: readonly GgufTensor[];
}

/** Writes GGUF's little-endian key-value header. */
class GgufHeader {
  private readonly pieces: Buffer[] = [];
  private keys = 0;
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
  private key(name: string, type: number) {
    this.keys++;
    this.text(name);
    this.u32(type);
  }
  string(key: string, value: string): void {
    this.key(key, 8);
    this.text(value);
  }
  uint(key: string, value: number): void {
    this.key(key, 4);
    this.u32(value);
  }
  float(key: string, value: number): void {
    this.key(key, 6);
    const b = Buffer.alloc(4);
    b.writeFloatLE(value);
    this.pieces.push(b);
  }
  strings(key: string, values: readonly string[]): void {
    this.key(key, 9);
    this.u32(8);
    this.u64(values.length);
    for (const v of values) this.text(v);
  }
  numbers(key: string, type: 'i32' | 'f32', values: readonly number[]): void {
    this.key(key, 9);
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
  /** Behind all keys come the tensors. */
  finish(tensors: number): Buffer {
    const body = this.pieces.splice(0);
    this.pieces.push(Buffer.from('GGUF'));
    this.u32(3);
    this.u64(tensors);
    this.u64(this.keys);
    const all = Buffer.concat([...this.pieces, ...body]);
    return Buffer.concat([all, Buffer.alloc((32 - (all.length % 32)) % 32)]);
  }
}

/** A dummy vocabulary of the real size; llama.cpp wants the three control tokens and the 256 byte tokens in it. */
function addVocabulary(h: GgufHeader, size: number): void {
  h.string('tokenizer.ggml.model', 'llama');
  const special = ['<unk>', '<s>', '</s>'];
  const byte = (i: number) => `<0x${(i - 3).toString(16).toUpperCase().padStart(2, '0')}>`;
  const tokens = Array.from({ length: size }, (_, i) => special[i] ?? (i < 259 ? byte(i) : `t${i}`));
  h.strings('tokenizer.ggml.tokens', tokens);
  h.numbers('tokenizer.ggml.scores', 'f32', new Array(size).fill(0));
  h.numbers(
    'tokenizer.ggml.token_type',
    'i32',
    tokens.map((_, i) => (i === 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1)),
  );
  h.uint('tokenizer.ggml.bos_token_id', 1);
  h.uint('tokenizer.ggml.eos_token_id', 2);
  h.uint('tokenizer.ggml.unknown_token_id', 0);
}

/** The same weights as a checkpoint's as a file for llama.cpp, unless it is there. */
export function writeGgufFile(file: string, model: GgufModel, pool: RandomPool): string {
  if (existsSync(file)) return file;
  const { architecture, vocab, integers, floats, tensors } = model;
  const h = new GgufHeader();
  h.string('general.architecture', architecture);
  h.string('general.name', architecture);
  for (const [key, value] of Object.entries(integers)) h.uint(`${architecture}.${key}`, value);
  for (const [key, value] of Object.entries(floats)) h.float(`${architecture}.${key}`, value);
  h.uint(`${architecture}.vocab_size`, vocab);
  addVocabulary(h, vocab);
  let offset = 0;
  for (const { name, shape, format } of tensors) {
    const block = BLOCKS[format];
    h.tensor(name, shape, block.ggmlType, offset);
    const bytes = (shape.reduce((a, b) => a * b, 1) / block.elements) * block.bytes;
    offset += Math.ceil(bytes / 32) * 32;
  }
  const fd = openSync(`${file}.part`, 'w');
  writeAll(fd, [h.finish(tensors.length)]);
  for (const { format, of } of tensors) {
    let bytes = 0;
    for (const part of of) {
      const isNorm = part.kind === 'norm';
      bytes += writeAll(
        fd,
        isNorm ? ones(numel(part), 4) : pool.cut(format, numel(part), std(part), part.index),
      );
    }
    writeAll(fd, [Buffer.alloc((32 - (bytes % 32)) % 32)]);
  }
  closeSync(fd);
  renameSync(`${file}.part`, file);
  return file;
}

function formatOf(t: TensorPlan, format: GgufFormat): PoolFormat {
  if (t.kind === 'norm' || t.kind === 'bias') return 'f32';
  if (format !== 'q4_0' || t.kind !== 'embedding') return format;
  // llama.cpp's own quantiser keeps a tied embedding, which is also the output matrix, at 6 or 8 bits.
  return (t.shape.at(-1) as number) % 256 === 0 ? 'q6_k' : 'q8_0';
}

/** The same weights as `writeCheckpoint`'s as a file for llama.cpp; made once per folder. */
export function writeGguf(shape: ModelShape, format: GgufFormat, pool: RandomPool, folder: string): string {
  const model: GgufModel = {
    architecture: shape.modelType,
    vocab: shape.vocab,
    integers: {
      context_length: CONTEXT,
      embedding_length: shape.hidden,
      block_count: shape.layers,
      feed_forward_length: shape.intermediate,
      'attention.head_count': shape.heads,
      'attention.head_count_kv': shape.kvHeads,
      'rope.dimension_count': shape.headDim,
    },
    floats: { 'rope.freq_base': shape.ropeTheta, 'attention.layer_norm_rms_epsilon': 1e-5 },
    tensors: tensorPlans(shape).map((plan, index) => ({
      name: plan.gguf,
      shape: plan.shape,
      format: formatOf(plan, format),
      of: [{ ...plan, index }],
    })),
  };
  return writeGgufFile(join(folder, `${shape.name}-${format}.gguf`), model, pool);
}
