import { join } from 'node:path';
import { AtbError } from '../errors.js';
import { isGgufPath } from '../weights/gguf/model-file.js';
import { followAllowed, type LinkOptions, readExactly, readRegularFile } from '../weights/regular-file.js';
import { readGgufFile } from './gguf-files.js';
import { parsePythonJson } from './python-json.js';

/** Gemma 3's tokenizer.json, the largest that we know, has 33 MB. */
export const MAX_FILE_BYTES = 64 * 2 ** 20;
/** Members of all objects of a JSON file: two million take a second and half a gigabyte to parse. */
const MAX_MEMBERS = 2 ** 21;

/**
 * A file of a model directory; undefined when there is none.
 * @throws WEIGHT_FILE_* for what is no regular file, and TOKENIZER_INVALID when it is too long.
 */
export async function readModelBytes(
  dir: string,
  name: string,
  links: LinkOptions = {},
  maxBytes = MAX_FILE_BYTES,
): Promise<Buffer | undefined> {
  if (isGgufPath(dir)) return readGgufFile(dir, name);
  // A folder within the one that a GGUF file stands for.
  const [, gguf, within] = /^(.*\.gguf)[\\/]([\w-]+)$/i.exec(dir) ?? [];
  if (gguf !== undefined) return readGgufFile(gguf, `${within}/${name}`);
  const file = join(dir, name);
  try {
    return await readRegularFile(await followAllowed(file, links), dir, async (handle, stamp) => {
      if (stamp.size > maxBytes) {
        throw new AtbError('TOKENIZER_INVALID', {
          file,
          problem: `has ${stamp.size} bytes, at most ${maxBytes} are read`,
        });
      }
      const bytes = Buffer.alloc(stamp.size);
      await readExactly(handle, stamp, bytes, 0, stamp.size, 0);
      return bytes;
    });
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** A text file of a model directory, as `readModelBytes`. @throws TOKENIZER_INVALID when it is not UTF-8, too. */
export async function readModelText(
  dir: string,
  name: string,
  maxBytes = MAX_FILE_BYTES,
  links: LinkOptions = {},
): Promise<string | undefined> {
  const bytes = await readModelBytes(dir, name, links, maxBytes);
  return bytes === undefined ? undefined : decodeUtf8(bytes, join(dir, name));
}

/** A JSON file of a model directory; undefined when there is none. @throws TOKENIZER_INVALID when it is not JSON. */
export async function readModelJson(dir: string, name: string, links: LinkOptions = {}): Promise<unknown> {
  const text = await readModelText(dir, name, MAX_FILE_BYTES, links);
  if (text === undefined) return undefined;
  const file = join(dir, name);
  if (hasMoreThan(text, ':', MAX_MEMBERS)) {
    throw new AtbError('TOKENIZER_INVALID', { file, problem: `has more than ${MAX_MEMBERS} members` });
  }
  try {
    return parsePythonJson(text);
  } catch (error) {
    const problem = `is not JSON: ${error instanceof Error ? error.message : String(error)}`;
    throw new AtbError('TOKENIZER_INVALID', { file, problem }, { cause: error });
  }
}

function hasMoreThan(text: string, character: string, limit: number): boolean {
  let count = 0;
  for (let at = text.indexOf(character); at >= 0; at = text.indexOf(character, at + 1))
    if (++count > limit) return true;
  return false;
}

function decodeUtf8(bytes: Buffer, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new AtbError('TOKENIZER_INVALID', { file, problem: 'is not UTF-8' }, { cause: error });
  }
}

function isMissing(error: unknown): boolean {
  if (!(error instanceof AtbError)) return false;
  const { cause } = error;
  return cause instanceof Error && 'code' in cause && (cause.code === 'ENOENT' || cause.code === 'ENOTDIR');
}
