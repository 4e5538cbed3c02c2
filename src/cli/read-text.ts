import { readFile } from 'node:fs/promises';
import { AtbError } from '../errors.js';

/** The text of a file that a flag names. Throws REQUEST_INVALID. */
export async function readText(flag: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new AtbError(
      'REQUEST_INVALID',
      { field: flag, expected: 'a readable file', found: file },
      { cause },
    );
  }
}
