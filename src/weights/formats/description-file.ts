import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { AtbError } from '../../errors.js';
import { isObject } from '../../is-object.js';
import { type FileStamp, followAllowed, readExactly, readRegularFile } from '../regular-file.js';
import type { FormatSource } from './format.js';

const MAX_BYTES = 100_000_000;

/** A file beside the weights that says how they are stored. */
export interface DescriptionFile {
  readonly file: string;
  readonly stamp: FileStamp;
  readonly bytes: Buffer;
}

/** Reads such a file whole; undefined where there is none. Throws WEIGHT_FILE_*, WEIGHT_INDEX_TOO_LARGE. */
export async function readDescriptionFile(
  { directory, links }: FormatSource,
  name: string,
): Promise<DescriptionFile | undefined> {
  const file = await followAllowed(join(directory, name), links);
  if (!(await lstat(file).catch(() => undefined))) return undefined;
  return readRegularFile(file, directory, async (handle, stamp) => {
    if (stamp.size > MAX_BYTES)
      throw new AtbError('WEIGHT_INDEX_TOO_LARGE', { file, limitBytes: MAX_BYTES, foundBytes: stamp.size });
    const bytes = Buffer.allocUnsafeSlow(stamp.size);
    await readExactly(handle, stamp, bytes, 0, stamp.size, 0);
    return { file, stamp, bytes };
  });
}

/** The object that text holds as JSON; undefined where it holds none. */
export function parsedObject(text: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(text).toString('utf8'));
    return isObject(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}
