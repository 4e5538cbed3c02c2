import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AtbError, type ErrorCode } from '../../src/errors.js';

/** Written from the format's description alone: shares nothing with the reader under test. */
export interface WriterTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

export interface WriterOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  /** Blanks behind the header; the original pads to a multiple of 8. */
  readonly padding?: number;
  /** Where `__metadata__` stands among the tensors. */
  readonly metadataAt?: number;
}

/** A safetensors file: data in the order given. */
export function safetensorsBytes(tensors: readonly WriterTensor[], options: WriterOptions = {}): Buffer {
  let at = 0;
  const members = tensors.map(({ name, dtype, shape, data }) => {
    const entry = { dtype, shape, data_offsets: [at, at + data.length] };
    at += data.length;
    return `${JSON.stringify(name)}:${JSON.stringify(entry)}`;
  });
  if (options.metadata !== undefined) {
    members.splice(options.metadataAt ?? 0, 0, `"__metadata__":${JSON.stringify(options.metadata)}`);
  }
  const header = `{${members.join(',')}}${' '.repeat(options.padding ?? 0)}`;
  return withHeader(header, Buffer.concat(tensors.map(({ data }) => data)));
}

/** Any text or bytes as the header, with a truthful length before it. */
export function withHeader(header: string | Buffer, data: Uint8Array = new Uint8Array(0)): Buffer {
  const text = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, data]);
}

/** `count` bytes that differ from their neighbours. */
export function someBytes(count: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length: count }, (_, index) => (seed * 31 + index * 7) & 0xff);
}

/** A folder for one suite, removed after it. Call inside `describe`. */
export function temporaryFolder(): (...names: string[]) => string {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'atb-weights-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));
  return (...names) => join(folder, ...names);
}

/** The error that an action must end in. Anything but an AtbError of this code fails the test. */
export async function failure<C extends ErrorCode>(code: C, action: () => unknown): Promise<AtbError<C>> {
  const caught = await outcome(action);
  if (!(caught instanceof AtbError))
    throw new Error(`expected ${code}, found ${String(caught)}`, { cause: caught });
  if (caught.code !== code) throw new Error(`expected ${code}, found ${caught.message}`, { cause: caught });
  return caught as AtbError<C>;
}

/** What an action returns, or the AtbError that it throws; any other error is the test's failure. */
export async function outcome<T>(action: () => T): Promise<Awaited<T> | AtbError> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof AtbError) return error;
    throw error;
  }
}
