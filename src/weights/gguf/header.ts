import { dirname } from 'node:path';
import { AtbError } from '../../errors.js';
import { type FileStamp, readRegularFile } from '../regular-file.js';
import type { StoredTensor } from '../safetensors-file.js';
import { GGUF_TYPE_NAMES, ggufType, ggufTypeName } from './block-types.js';
import { FileReader } from './file-reader.js';

/** A value of a file's metadata. Numbers of 64 bits are exact up to 2^53. */
export type GgufValue = string | number | boolean | readonly GgufValue[];

/** What a GGUF file says before its data. */
export interface GgufHeader {
  readonly path: string;
  readonly stamp: FileStamp;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** By GGUF's names; shapes are row-major, as elsewhere here: [rows, columns]. `dtype` is the name of GGUF's type. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

const MAX_ENTRIES = 1 << 16;
const MAX_TENSORS = 1 << 17;
const MAX_TEXT_BYTES = 2 ** 24;
const MAX_ITEMS = 2 ** 22;
const MAX_RANK = 4;
/** Within one another. */
const MAX_DEPTH = 4;
const VERSIONS = [2, 3];

/**
 * Reads and checks the header of a GGUF file (versions 2 and 3, little-endian), none of its data. Throws
 * WEIGHT_FILE_*.
 */
export function readGgufHeader(path: string, root = dirname(path)): Promise<GgufHeader> {
  return readRegularFile(path, root, async (handle, stamp) => {
    const reader = new FileReader(handle, stamp);
    const magic = await reader.bytes(4);
    if (magic.toString('latin1') !== 'GGUF')
      reader.fail(`must begin with "GGUF", found ${JSON.stringify(magic.toString('latin1'))}`);
    const version = await reader.u32();
    if (!VERSIONS.includes(version))
      reader.fail(`its version must be one of ${VERSIONS.join(', ')}, little-endian, found ${version}`);
    const numTensors = await reader.count('the number of tensors', MAX_TENSORS);
    const numEntries = await reader.count('the number of entries', MAX_ENTRIES);
    const metadata = new Map<string, GgufValue>();
    for (let i = 0; i < numEntries; i++) {
      const key = await reader.text('a key', MAX_TEXT_BYTES);
      metadata.set(key, await readValue(reader, key, await reader.u32()));
    }
    const described: Described[] = [];
    for (let i = 0; i < numTensors; i++) described.push(await readTensorInfo(reader));
    const alignment = metadata.get('general.alignment') ?? 32;
    if (typeof alignment !== 'number' || alignment < 8 || alignment % 8 !== 0)
      return reader.fail(`general.alignment must be a multiple of 8, found ${alignment}`);
    const dataAt = Math.ceil(reader.position / alignment) * alignment;
    return { path, stamp, metadata, tensors: placed(described, { path, stamp, dataAt, alignment }) };
  });
}

/** Reads a number of each type of metadata; strings and lists are others. */
const NUMBERS: ReadonlyMap<number, readonly [bytes: number, read: (bytes: Buffer) => number | boolean]> =
  new Map<number, readonly [number, (bytes: Buffer) => number | boolean]>([
    [0, [1, (b) => b.readUInt8()]],
    [1, [1, (b) => b.readInt8()]],
    [2, [2, (b) => b.readUInt16LE()]],
    [3, [2, (b) => b.readInt16LE()]],
    [4, [4, (b) => b.readUInt32LE()]],
    [5, [4, (b) => b.readInt32LE()]],
    [6, [4, (b) => b.readFloatLE()]],
    [7, [1, (b) => b.readUInt8() !== 0]],
    [10, [8, (b) => Number(b.readBigUInt64LE())]],
    [11, [8, (b) => Number(b.readBigInt64LE())]],
    [12, [8, (b) => b.readDoubleLE()]],
  ]);
const TEXT = 8;
const LIST = 9;

async function readValue(reader: FileReader, key: string, type: number, depth = 0): Promise<GgufValue> {
  const number = NUMBERS.get(type);
  if (number) return number[1](await reader.bytes(number[0]));
  if (type === TEXT) return reader.text(key, MAX_TEXT_BYTES);
  if (type !== LIST || depth === MAX_DEPTH) return reader.fail(`${key} has the unknown type ${type}`);
  const itemType = await reader.u32();
  const length = await reader.count(`the length of ${key}`, MAX_ITEMS);
  const item = NUMBERS.get(itemType);
  if (item) {
    const [size, read] = item;
    const bytes = await reader.bytes(size * length);
    return Array.from({ length }, (_, i) => read(bytes.subarray(i * size, (i + 1) * size)));
  }
  const items: GgufValue[] = [];
  for (let i = 0; i < length; i++) items.push(await readValue(reader, key, itemType, depth + 1));
  return items;
}

interface Described {
  readonly name: string;
  readonly shape: readonly number[];
  readonly typeId: number;
  /** From where the data begins. */
  readonly offset: number;
}

async function readTensorInfo(reader: FileReader): Promise<Described> {
  const name = await reader.text('the name of a tensor', MAX_TEXT_BYTES);
  const rank = await reader.u32();
  if (rank > MAX_RANK)
    reader.fail(`${JSON.stringify(name)} has ${rank} dimensions, at most ${MAX_RANK} are read`);
  const sizes: number[] = [];
  for (let axis = 0; axis < rank; axis++)
    sizes.push(await reader.count(`a dimension of ${JSON.stringify(name)}`, Number.MAX_SAFE_INTEGER));
  const typeId = await reader.u32();
  const offset = await reader.count(`the place of ${JSON.stringify(name)}`, Number.MAX_SAFE_INTEGER);
  // GGUF has the numbers of a row first.
  return { name, shape: sizes.reverse(), typeId, offset };
}

interface DataPlace {
  readonly path: string;
  readonly stamp: FileStamp;
  readonly dataAt: number;
  readonly alignment: number;
}

function placed(described: readonly Described[], place: DataPlace): ReadonlyMap<string, StoredTensor> {
  const { path: file, stamp, dataAt, alignment } = place;
  const tensors = new Map<string, StoredTensor>();
  for (const { name, shape, typeId, offset } of described) {
    const shown = JSON.stringify(name);
    const fail = (problem: string): never => {
      throw new AtbError('WEIGHT_FILE_GGUF', { file, problem: `${shown} ${problem}` });
    };
    const type = ggufType(typeId);
    if (type === undefined)
      return fail(
        `has the type ${ggufTypeName(typeId)}; read are ${GGUF_TYPE_NAMES.join(', ')}: fetch a file in one of these, as Q4_K_M or Q8_0`,
      );
    const elements = shape.reduce((product, size) => product * size, 1);
    const row = shape.at(-1) ?? 1;
    if (row % type.numbers !== 0)
      fail(`has rows of ${row} numbers, which do not fill blocks of ${type.numbers} (${type.name})`);
    const bytes = (elements / type.numbers) * type.bytes;
    if (tensors.has(name)) fail('is there twice');
    if (offset % alignment !== 0) fail(`lies at byte ${offset}, which is no multiple of ${alignment}`);
    const end = dataAt + offset + bytes;
    if (!Number.isSafeInteger(elements) || !(end <= stamp.size)) {
      const what = 'tensor';
      throw new AtbError('WEIGHT_FILE_TRUNCATED', {
        file,
        what,
        tensor: name,
        expectedBytes: end,
        foundBytes: stamp.size,
      });
    }
    tensors.set(name, { dtype: type.name, shape, offset: dataAt + offset, bytes });
  }
  return tensors;
}
