import type { FileHandle } from 'node:fs/promises';
import { AtbError } from '../../errors.js';
import { type FileStamp, readExactly } from '../regular-file.js';

const FIRST_BYTES = 1 << 20;
/** Gemma 3's, with 262 144 tokens, takes 16 MB. */
const MAX_HEADER_BYTES = 2 ** 28;

/** Reads the beginning of a file from number to number, in steps that double, so that it pays only for what is there. */
export class FileReader {
  readonly #handle: FileHandle;
  readonly #stamp: FileStamp;
  #bytes = Buffer.alloc(0);
  #at = 0;

  constructor(handle: FileHandle, stamp: FileStamp) {
    this.#handle = handle;
    this.#stamp = stamp;
  }

  /** Of the next byte. */
  get position(): number {
    return this.#at;
  }

  fail(problem: string): never {
    throw new AtbError('WEIGHT_FILE_GGUF', { file: this.#stamp.path, problem });
  }

  async #take(count: number): Promise<number> {
    const end = this.#at + count;
    if (end > this.#bytes.length) await this.#grow(end);
    const from = this.#at;
    this.#at = end;
    return from;
  }

  async #grow(end: number): Promise<void> {
    const { path: file, size } = this.#stamp;
    if (end > size)
      throw new AtbError('WEIGHT_FILE_TRUNCATED', {
        file,
        what: 'header',
        expectedBytes: end,
        foundBytes: size,
      });
    if (end > MAX_HEADER_BYTES) this.fail(`its header has more than ${MAX_HEADER_BYTES} bytes`);
    const wanted = Math.max(FIRST_BYTES, this.#bytes.length * 2, end);
    const bytes = Buffer.allocUnsafeSlow(Math.min(size, wanted));
    this.#bytes.copy(bytes);
    const done = this.#bytes.length;
    await readExactly(this.#handle, this.#stamp, bytes, done, bytes.length - done, done);
    this.#bytes = bytes;
  }

  async bytes(count: number): Promise<Buffer> {
    const at = await this.#take(count);
    return this.#bytes.subarray(at, at + count);
  }

  async u32(): Promise<number> {
    const at = await this.#take(4);
    return this.#bytes.readUInt32LE(at);
  }

  /** A number of 64 bits that counts something. */
  async count(what: string, limit: number): Promise<number> {
    const at = await this.#take(8);
    const count = this.#bytes.readBigUInt64LE(at);
    return count <= limit ? Number(count) : this.fail(`${what} must be at most ${limit}, found ${count}`);
  }

  async text(what: string, limit: number): Promise<string> {
    const length = await this.count(`the length of ${what}`, limit);
    // Tokens of some vocabularies are pieces of characters.
    return (await this.bytes(length)).toString('utf8');
  }
}
