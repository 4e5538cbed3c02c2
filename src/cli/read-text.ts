import { readFileSync } from 'node:fs';
import { AtbError, refuseRequest } from '../errors.js';

/** The text of a file that a flag names, without a byte order mark. @throws REQUEST_INVALID */
export function readText(flag: string, file: string): string {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    throw new AtbError(
      'REQUEST_INVALID',
      { field: flag, expected: 'a readable file', found: file },
      { cause },
    );
  }
  return textOf(flag, bytes);
}

/**
 * Bytes as a text. Those of other encodings would be read as other letters without a word: UTF-16 of PowerShell, Latin-1.
 * @throws REQUEST_INVALID by the name of what holds them
 */
export function textOf(holder: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    const isUtf16 = /^(?:fffe|feff)/.test(Buffer.from(bytes.subarray(0, 2)).toString('hex'));
    const found = isUtf16 ? 'UTF-16' : 'bytes that are none';
    return refuseRequest(holder, 'text in UTF-8 (iconv makes it)', found);
  }
}
