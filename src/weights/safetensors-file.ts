import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import safetensors from 'safetensors';
import { AtbError } from '../errors.js';
import { describeByte } from './json-scanner.js';
import { type FileStamp, readExactly, readRegularFile } from './regular-file.js';
import { checkHeader, MAX_HEADER_BYTES } from './safetensors-header.js';

/** A tensor of a file, as the format names it. */
export interface StoredTensor {
  /** The format's own name: `BF16`, `F32`, `F8_E4M3`, ... */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Absolute offset of the first byte in the file. */
  readonly offset: number;
  readonly bytes: number;
}

/** The header of a safetensors file. Its data is read by whoever needs it. */
export interface SafetensorsFile {
  readonly path: string;
  readonly stamp: FileStamp;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** The `__metadata__` strings. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** Headers are read in steps that double from here, so that a file pays only for bytes that look like JSON. */
const FIRST_READ_BYTES = 1 << 16;
const LENGTH_BYTES = 8;
/** `{}` */
const SHORTEST_HEADER = 2;

/**
 * Reads and checks the header of a safetensors file; none of its data. A symbolic link may lead anywhere below `root`
 * (the file's own folder unless given) or into a Hugging Face cache. Throws WEIGHT_FILE_*, within a second, and
 * allocates in proportion to what is really in the file.
 */
export function openSafetensors(path: string, root = dirname(path)): Promise<SafetensorsFile> {
  return readRegularFile(path, root, async (handle, stamp) => {
    const end = await readHeaderEnd(handle, stamp);
    const bytes = await readHeader(handle, stamp, end);
    const { metadata, metadataSpan } = checkHeader({ file: path, bytes, dataBytes: stamp.size - end });
    // The package fails on `__metadata__`. It is overwritten with blanks, so that all other bytes stay where they are.
    if (metadataSpan !== undefined) blankMember(bytes, ...metadataSpan);
    const parsed = new safetensors.SafeTensor(bytes);
    const tensors = new Map<string, StoredTensor>();
    for (const [name, { dtype, shape, data_offsets }] of parsed.metadata) {
      const [offset, stop] = data_offsets;
      tensors.set(name, { dtype, shape, offset, bytes: stop - offset });
    }
    return { path, stamp, tensors, metadata };
  });
}

async function readHeaderEnd(handle: FileHandle, stamp: FileStamp): Promise<number> {
  const file = stamp.path;
  if (stamp.size < LENGTH_BYTES) {
    throw new AtbError('WEIGHT_FILE_TRUNCATED', {
      file,
      what: 'header length',
      expectedBytes: LENGTH_BYTES,
      foundBytes: stamp.size,
    });
  }
  const prefix = Buffer.alloc(LENGTH_BYTES);
  await readExactly(handle, stamp, prefix, 0, LENGTH_BYTES, 0);
  const length = prefix.readBigUInt64LE();
  if (length < SHORTEST_HEADER || length > MAX_HEADER_BYTES) {
    throw new AtbError('WEIGHT_FILE_HEADER_LENGTH', {
      file,
      found: String(length),
      limitBytes: MAX_HEADER_BYTES,
      starts: prefix.toString('latin1'),
    });
  }
  const end = LENGTH_BYTES + Number(length);
  if (end > stamp.size) {
    throw new AtbError('WEIGHT_FILE_TRUNCATED', {
      file,
      what: 'header',
      expectedBytes: end,
      foundBytes: stamp.size,
    });
  }
  return end;
}

/** Bytes [0, end), in an ArrayBuffer of their own: the package ignores byteOffset and always reads from its start. */
async function readHeader(handle: FileHandle, stamp: FileStamp, end: number): Promise<Buffer> {
  let bytes = Buffer.allocUnsafeSlow(Math.min(end, FIRST_READ_BYTES));
  for (let done = 0; ; ) {
    await readExactly(handle, stamp, bytes, done, bytes.length - done, done);
    refuseControlBytes(stamp.path, bytes, Math.max(done, LENGTH_BYTES));
    done = bytes.length;
    if (done === end) return bytes;
    const larger = Buffer.allocUnsafeSlow(Math.min(end, done * 2));
    bytes.copy(larger);
    bytes = larger;
  }
}

/** JSON text has no control characters. A header full of zeros, as of a sparse file, is refused before all of it is read. */
function refuseControlBytes(file: string, bytes: Buffer, from: number): void {
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d) {
      throw new AtbError('WEIGHT_FILE_JSON', {
        file,
        byte: at,
        expected: 'JSON text',
        found: describeByte(byte),
      });
    }
  }
}

/** Overwrites a checked object's member, and one comma beside it, with blanks. */
function blankMember(bytes: Buffer, start: number, end: number): void {
  const blankAt = (at: number): boolean => ' \t\r\n'.includes(String.fromCharCode(bytes[at] ?? 0));
  let [first, last] = [start, end];
  while (blankAt(last)) last++;
  if (bytes[last] === 0x2c) {
    last++;
  } else {
    while (blankAt(first - 1)) first--;
    if (bytes[first - 1] === 0x2c) first--;
  }
  bytes.fill(0x20, first, last);
}
