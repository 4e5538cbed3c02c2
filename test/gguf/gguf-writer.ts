import { writeFileSync } from 'node:fs';

export type MetadataValue = string | number | boolean | readonly string[] | readonly number[] | Int32Array;

export interface WrittenTensor {
  readonly name: string;
  /** Row-major: [rows, columns]. */
  readonly shape: readonly number[];
  /** GGUF's number of the type: 0 F32, 1 F16, 8 Q8_0, 30 BF16. */
  readonly type: number;
  readonly data: Uint8Array;
}

const ALIGNMENT = 32;
const [U32, I32, F32, BOOL, TEXT, LIST] = [4, 5, 6, 7, 8, 9];

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const u64 = (value: number | bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
const f32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
};
const text = (value: string): Buffer => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);

function typed(value: string | number | boolean): readonly [type: number, bytes: Buffer] {
  if (typeof value === 'string') return [TEXT, text(value)];
  if (typeof value === 'boolean') return [BOOL, Buffer.from([value ? 1 : 0])];
  return Number.isInteger(value) && value >= 0 ? [U32, u32(value)] : [F32, f32(value)];
}

function encoded(value: MetadataValue): Buffer {
  if (typeof value !== 'object') {
    const [type, bytes] = typed(value);
    return Buffer.concat([u32(type), bytes]);
  }
  if (value instanceof Int32Array)
    return Buffer.concat([u32(LIST), u32(I32), u64(value.length), Buffer.from(value.buffer)]);
  const isText = typeof value[0] === 'string';
  const items = value.map((item) => (typeof item === 'string' ? text(item) : f32(item)));
  return Buffer.concat([u32(LIST), u32(isText ? TEXT : F32), u64(value.length), ...items]);
}

/** The bytes of a GGUF file of version 3. */
export function ggufBytes(
  metadata: Readonly<Record<string, MetadataValue>>,
  tensors: readonly WrittenTensor[] = [],
): Buffer {
  const entries = Object.entries(metadata);
  let offset = 0;
  const infos = tensors.map(({ name, shape, type, data }) => {
    const at = offset;
    offset += Math.ceil(data.length / ALIGNMENT) * ALIGNMENT;
    return Buffer.concat([text(name), u32(shape.length), ...shape.toReversed().map(u64), u32(type), u64(at)]);
  });
  const header = Buffer.concat([
    Buffer.from('GGUF'),
    u32(3),
    u64(tensors.length),
    u64(entries.length),
    ...entries.map(([key, value]) => Buffer.concat([text(key), encoded(value)])),
    ...infos,
  ]);
  const padded = (bytes: Uint8Array) =>
    Buffer.concat([bytes, Buffer.alloc((ALIGNMENT - (bytes.length % ALIGNMENT)) % ALIGNMENT)]);
  return Buffer.concat([padded(header), ...tensors.map(({ data }) => padded(data))]);
}

export function writeGguf(
  path: string,
  metadata: Readonly<Record<string, MetadataValue>>,
  tensors: readonly WrittenTensor[] = [],
): string {
  writeFileSync(path, ggufBytes(metadata, tensors));
  return path;
}
