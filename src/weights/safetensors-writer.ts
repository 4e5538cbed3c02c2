import { type FileHandle, open } from 'node:fs/promises';
import { elementCount } from '../dtype.js';
import { ELEMENT_BITS } from './safetensors-header.js';

/** A tensor to write, as the format names it. */
export interface TensorEntry {
  readonly name: string;
  /** `BF16`, `F32`, `I8`, … */
  readonly dtype: string;
  readonly shape: readonly number[];
}

const LENGTH_BYTES = 8;
/** The data starts at a multiple of this, as it does in files of the original implementation. */
const ALIGN_BYTES = 8;

/**
 * Writes a safetensors file piece by piece, in any order, holding none of it. Tensors of wide elements come first in the
 * file, as the original implementation places them: so each lies at a multiple of its element size.
 */
export class SafetensorsWriter {
  private constructor(
    private readonly handle: FileHandle,
    private readonly offsets: ReadonlyMap<string, number>,
  ) {}

  /** Creates the file, which must not exist, and writes its header. */
  static async create(
    path: string,
    entries: readonly TensorEntry[],
    metadata: Readonly<Record<string, string>>,
  ): Promise<SafetensorsWriter> {
    const bits = ({ dtype }: TensorEntry): number => ELEMENT_BITS.get(dtype) ?? 0;
    const header: Record<string, unknown> = { __metadata__: metadata };
    const offsets = new Map<string, number>();
    let at = 0;
    for (const entry of entries.toSorted((a, b) => bits(b) - bits(a))) {
      const { name, dtype, shape } = entry;
      const end = at + Math.ceil((elementCount(shape) * bits(entry)) / 8);
      header[name] = { dtype, shape, data_offsets: [at, end] };
      offsets.set(name, at);
      at = end;
    }
    const text = Buffer.from(JSON.stringify(header));
    const length = Math.ceil(text.length / ALIGN_BYTES) * ALIGN_BYTES;
    const start = Buffer.alloc(LENGTH_BYTES + length, ' ');
    start.writeBigUInt64LE(BigInt(length));
    text.copy(start, LENGTH_BYTES);
    const absolute = new Map([...offsets].map(([name, offset]) => [name, start.length + offset]));
    const handle = await open(path, 'wx');
    const writer = new SafetensorsWriter(handle, absolute);
    try {
      await writer.#writeAt(start, 0);
      await handle.truncate(start.length + at);
    } catch (error) {
      await handle.close();
      throw error;
    }
    return writer;
  }

  /** Writes bytes of a tensor from its byte `from` on. */
  async write(name: string, bytes: Uint8Array, from = 0): Promise<void> {
    const offset = this.offsets.get(name);
    if (offset === undefined) throw new TypeError(`the header has no tensor "${name}"`);
    await this.#writeAt(bytes, offset + from);
  }

  /** Waits until the disk has what was written. */
  async sync(): Promise<void> {
    await this.handle.sync();
  }

  async close(): Promise<void> {
    await this.handle.close();
  }

  async #writeAt(bytes: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.handle.write(bytes, done, bytes.length - done, position + done);
      done += bytesWritten;
    }
  }
}
