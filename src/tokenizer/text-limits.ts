import { AtbError } from '../errors.js';

/** Characters of one text. A million take some 2 s; what is longer fits no model's window. */
const MAX_TEXT_LEN = 4 * 2 ** 20;
/** Time for a text: well-behaved tokenizers need a fiftieth of it; a machine may be busy. */
const ENCODE_BASE_MS = 5000;
const ENCODE_MS_PER_CHARACTER = 0.05;
/** Gemma's tokenizer.json, the largest that we know, takes 2 s. */
export const OPEN_LIMIT_MS = 60_000;

/** Milliseconds that encoding a text may take. */
export function limitFor(textLen: number): number {
  return ENCODE_BASE_MS + Math.ceil(ENCODE_MS_PER_CHARACTER * textLen);
}

/** @throws REQUEST_INVALID for what is no text, and for one that is too long */
export function checkText(text: unknown): void {
  if (typeof text === 'string' && text.length <= MAX_TEXT_LEN) return;
  const found = typeof text === 'string' ? `${text.length} characters` : text;
  throw new AtbError('REQUEST_INVALID', {
    field: 'a text',
    expected: `a string of up to ${MAX_TEXT_LEN} characters`,
    found,
  });
}
