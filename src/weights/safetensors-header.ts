import { AtbError } from '../errors.js';
import { describeByte, JsonScanner } from './json-scanner.js';

/** Bits of one element, by the format's name of its type. A file may hold types that the engine cannot read. */
export const ELEMENT_BITS: ReadonlyMap<string, number> = new Map([
  ['F4', 4],
  ['F6_E2M3', 6],
  ['F6_E3M2', 6],
  ['BOOL', 8],
  ['U8', 8],
  ['I8', 8],
  ['F8_E4M3', 8],
  ['F8_E5M2', 8],
  ['F8_E8M0', 8],
  ['U16', 16],
  ['I16', 16],
  ['F16', 16],
  ['BF16', 16],
  ['U32', 32],
  ['I32', 32],
  ['F32', 32],
  ['U64', 64],
  ['I64', 64],
  ['F64', 64],
  ['C64', 64],
]);

/** The format's own limit (safetensors 0.4 and later, `MAX_HEADER_SIZE`). */
export const MAX_HEADER_BYTES = 100_000_000;
/**
 * In one file, or in one index. The largest published checkpoints hold some 140,000 tensors (384 experts, 60 layers,
 * three projections with scales), their 4-bit conversions twice as many; more would take over a second to refuse.
 */
export const MAX_TENSORS = 300_000;
/** As many axes as an ATB tensor has. */
export const MAX_RANK = 8;
/** A header nests three levels: the object, a tensor's entry, its lists. One more level lets the error name the problem. */
const MAX_DEPTH = 4;

const METADATA = '__metadata__';

interface Extent {
  readonly name: string;
  readonly begin: number;
  readonly end: number;
}

/** The start of a file. `bytes` ends where the header's JSON ends, which begins at byte 8; `dataBytes` of data follow it. */
export interface HeaderSpan {
  readonly file: string;
  readonly bytes: Buffer;
  readonly dataBytes: number;
}

export interface CheckedHeader {
  readonly metadata: ReadonlyMap<string, string>;
  /** Byte range of the `__metadata__` member, when there is one. */
  readonly metadataSpan: readonly [start: number, end: number] | undefined;
}

/**
 * Checks a safetensors header completely, before anything is made of it: strict JSON, known fields and dtypes, shapes
 * whose byte counts are exact and equal to the offsets, and tensors that cover the data without holes, overlaps or
 * bytes left over. Format: https://github.com/huggingface/safetensors#format. Stricter than its Rust reader in three
 * points: duplicate keys, unknown fields of an entry and more than 8 axes are refused. Throws WEIGHT_FILE_*.
 */
export function checkHeader(span: HeaderSpan): CheckedHeader {
  const { file, bytes } = span;
  if (bytes[8] !== 0x7b) {
    throw new AtbError('WEIGHT_FILE_JSON', {
      file,
      byte: 8,
      expected: '"{" as the first byte of the header',
      found: describeByte(bytes[8] ?? 0),
    });
  }
  const scanner = new JsonScanner(file, bytes, 8, { depth: MAX_DEPTH, entries: MAX_TENSORS });
  const metadata = new Map<string, string>();
  let metadataSpan: readonly [number, number] | undefined;
  const extents: Extent[] = [];
  scanner.object((name, start) => {
    if (name === METADATA) {
      readMetadata(scanner, file, metadata);
      metadataSpan = [start, scanner.position];
    } else {
      extents.push(readEntry(scanner, file, name));
    }
  });
  scanner.finish();
  checkLayout(span, extents);
  return { metadata, metadataSpan };
}

function readMetadata(scanner: JsonScanner, file: string, metadata: Map<string, string>): void {
  const kind = scanner.kind();
  if (kind !== 'object') {
    throw new AtbError('WEIGHT_FILE_METADATA', {
      file,
      expected: 'an object of strings',
      found: scanner.skip(),
    });
  }
  scanner.object((key) => {
    if (scanner.kind() !== 'string') {
      throw new AtbError('WEIGHT_FILE_METADATA', { file, key, expected: 'a string', found: scanner.skip() });
    }
    metadata.set(key, scanner.string());
  });
}

/** One member of the header: `{"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}`. */
function readEntry(scanner: JsonScanner, file: string, tensor: string): Extent {
  const wrong = (field: string, expected: string, found: string): AtbError =>
    new AtbError('WEIGHT_FILE_ENTRY', { file, tensor, field, expected, found });
  if (scanner.kind() !== 'object') throw wrong('entry', 'an object', scanner.skip());
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  scanner.object((field) => {
    const kind = scanner.kind();
    if (field === 'dtype') {
      if (kind !== 'string') throw wrong(field, 'a string', scanner.skip());
      dtype = scanner.string();
    } else if (field === 'shape' || field === 'data_offsets') {
      if (kind !== 'array') throw wrong(field, 'a list of integers', scanner.skip());
      const longest = field === 'shape' ? MAX_RANK : 2;
      const list = readIntegers(scanner, longest, (expected, found) => wrong(field, expected, found));
      if (field === 'shape') shape = list;
      else offsets = list;
    } else {
      throw wrong(field, 'one of dtype, shape, data_offsets', 'an unknown field');
    }
  });
  if (dtype === undefined) throw wrong('dtype', 'a string', 'nothing');
  if (shape === undefined) throw wrong('shape', 'a list of integers', 'nothing');
  const [begin, end] = offsets ?? [];
  if (begin === undefined || end === undefined) {
    throw wrong('data_offsets', 'two integers', offsets === undefined ? 'nothing' : `[${offsets}]`);
  }
  if (end < begin) throw wrong('data_offsets', 'a begin that is not after its end', `[${begin}, ${end}]`);
  const bytes = tensorBytes(file, tensor, dtype, shape);
  if (bytes !== end - begin) {
    throw new AtbError('WEIGHT_FILE_SIZE_MISMATCH', {
      file,
      tensor,
      dtype,
      shape,
      expectedBytes: bytes,
      foundBytes: end - begin,
    });
  }
  return { name: tensor, begin, end };
}

function readIntegers(
  scanner: JsonScanner,
  longest: number,
  wrong: (expected: string, found: string) => AtbError,
): number[] {
  const list: number[] = [];
  scanner.array((index) => {
    if (index >= longest) throw wrong(`at most ${longest} integers`, 'more');
    const value = scanner.kind() === 'number' ? scanner.integer() : scanner.skip();
    if (typeof value === 'string') throw wrong('integers in [0, 2^53)', value);
    list.push(value);
  });
  return list;
}

/** Bytes of a tensor. No product of a run of its axes, zeros left out, exceeds 2^53 bits when this returns. */
function tensorBytes(file: string, tensor: string, dtype: string, shape: readonly number[]): number {
  const bits = ELEMENT_BITS.get(dtype);
  if (bits === undefined) {
    throw new AtbError('WEIGHT_FILE_DTYPE', { file, tensor, found: dtype, known: [...ELEMENT_BITS.keys()] });
  }
  let product = bits;
  for (const size of shape) {
    if (size > 0) product *= size;
    if (product > Number.MAX_SAFE_INTEGER) {
      throw new AtbError('WEIGHT_FILE_SHAPE', {
        file,
        tensor,
        dtype,
        shape,
        problem: 'has more than 2^53 bits',
      });
    }
  }
  if (shape.includes(0)) return 0;
  if (product % 8 !== 0) {
    throw new AtbError('WEIGHT_FILE_SHAPE', {
      file,
      tensor,
      dtype,
      shape,
      problem: 'does not fill whole bytes',
    });
  }
  return product / 8;
}

/** Tensors in order of their offsets must follow one another exactly, from 0 to the end of the file. */
function checkLayout({ file, bytes, dataBytes }: HeaderSpan, extents: Extent[]): void {
  const data = bytes.length;
  if (!extents.every(({ begin }, index) => index === 0 || begin >= (extents[index - 1]?.end ?? 0))) {
    extents.sort((a, b) => a.begin - b.begin || a.end - b.end);
  }
  let at = 0;
  for (const { name, begin, end: stop } of extents) {
    if (begin !== at) {
      const code = begin > at ? 'WEIGHT_FILE_HOLE' : 'WEIGHT_FILE_OVERLAP';
      throw new AtbError(code, { file, tensor: name, expectedOffset: at, foundOffset: begin });
    }
    if (stop > dataBytes) {
      const [expectedBytes, foundBytes] = [data + stop, data + dataBytes];
      throw new AtbError('WEIGHT_FILE_TRUNCATED', {
        file,
        what: 'tensor',
        tensor: name,
        expectedBytes,
        foundBytes,
      });
    }
    at = stop;
  }
  if (at !== dataBytes) {
    const [expectedBytes, foundBytes] = [data + at, data + dataBytes];
    throw new AtbError('WEIGHT_FILE_TRAILING_BYTES', { file, expectedBytes, foundBytes });
  }
}
