import { open, realpath } from 'node:fs/promises';
import { isAbsolute, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AtbError, refuseRequest } from '../../errors.js';
import type { MediaSource } from './parts.js';

/** Of one file: a sound of half an hour, or more of a picture than anybody decodes. */
const MAX_BYTES = 2 ** 26;
/** Of a data URL: four characters hold three bytes. */
const MAX_TEXT = Math.ceil(MAX_BYTES / 3) * 4 + 128;
const DATA_URL = /^data:[^,]{0,127};base64,/i;

/**
 * The bytes that a source stands for. Nothing is fetched from a network, and files are read below `allowedFolder` alone,
 * links followed: whoever may write a prompt may not read what the process may.
 * @throws REQUEST_INVALID by the field's name
 */
export async function readSource(
  source: MediaSource,
  field: string,
  allowedFolder: string | undefined,
): Promise<Uint8Array> {
  if (typeof source !== 'string') return source;
  const url = source.trimStart();
  if (/^data:/i.test(url)) return dataOf(url, field);
  if (/^[a-z][a-z0-9+.-]+:/i.test(source) && !/^file:/i.test(source))
    return refuseRequest(
      field,
      'a data URL or a local file: nothing is fetched from a network',
      source.slice(0, 80),
    );
  if (allowedFolder === undefined)
    return refuseRequest(
      field,
      'a data URL; files are read below the folder of the option allowedLocalMediaPath alone',
      source.slice(0, 80),
    );
  return fileOf(source, field, allowedFolder);
}

function dataOf(url: string, field: string): Uint8Array {
  if (url.length > MAX_TEXT) refuseRequest(field, `a data URL of at most ${MAX_TEXT} characters`, url.length);
  const head = DATA_URL.exec(url)?.[0];
  if (head === undefined) return refuseRequest(field, 'a data URL in base64', url.slice(0, 80));
  const text = url.slice(head.length);
  const data = Buffer.from(text.includes('%') ? unescaped(text, field) : text, 'base64');
  if (data.length === 0) refuseRequest(field, 'a data URL with bytes of a file', url.slice(0, 80));
  return data;
}

/** Text with what browsers escape in URLs, such as the padding of base64. */
function unescaped(text: string, field: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return refuseRequest(field, 'a data URL in base64', text.slice(0, 80));
  }
}

async function fileOf(source: string, field: string, allowedFolder: string): Promise<Uint8Array> {
  const refuse = (cause?: unknown): never => {
    const expected = `a file below ${allowedFolder}`;
    throw new AtbError('REQUEST_INVALID', { field, expected, found: source }, { cause });
  };
  try {
    const folder = await realpath(allowedFolder);
    const path = await realpath(/^file:/i.test(source) ? fileURLToPath(source) : resolve(folder, source));
    const inside = relative(folder, path);
    if (inside === '' || inside.startsWith('..') || isAbsolute(inside)) return refuse();
    const handle = await open(path);
    try {
      const stat = await handle.stat();
      if (!stat.isFile()) return refuse();
      if (stat.size > MAX_BYTES)
        return refuseRequest(field, `a file of at most ${MAX_BYTES} bytes`, stat.size);
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if (cause instanceof AtbError) throw cause;
    return refuse(cause);
  }
}
