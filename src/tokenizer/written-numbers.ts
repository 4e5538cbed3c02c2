import { randomUUID } from 'node:crypto';

/**
 * A number as JSON has it and JavaScript does not: 1.0, which Python takes for a float, or an integer of more than 53
 * bits. Templates print both as they were written.
 */
export class WrittenNumber {
  constructor(readonly value: number | bigint) {}

  toJSON(): number {
    return Number(this.value);
  }
}

const WRITTEN: unique symbol = Symbol('numbers as they were written');
const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
/** Whether there may be such a number: what stands in strings does no harm. */
const MAY_HAVE = /[:,[]\s*-?(?:\d+\.\d|\d+[eE]|\d{16})/;

/**
 * JSON parsed; what is said above of numbers is kept beside them, and seen by `writtenNumbers`. `parse` says how.
 * @throws SyntaxError for what is no JSON, or what `parse` throws
 */
export function parseWritten(text: string, parse: (text: string) => unknown = JSON.parse): unknown {
  const { spelt, restored } = spellNumbers(text);
  return restored(parse(spelt));
}

/** The same in two steps: a text in whose place the numbers are strings, and what makes of these numbers again. */
export function spellNumbers(text: string): {
  readonly spelt: string;
  readonly restored: (value: unknown) => unknown;
} {
  if (!MAY_HAVE.test(text)) return { spelt: text, restored: (value) => value };
  // Nobody can guess it, so no text has it.
  const mark = randomUUID();
  const pieces: string[] = [];
  let [from, at] = [0, 0];
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === 0x22) at = endOfString(text, at) + 1;
    else if (code === 0x2d || (code >= 0x30 && code <= 0x39)) {
      NUMBER.lastIndex = at;
      const [found = ''] = NUMBER.exec(text) ?? [];
      if (isOtherwise(found)) {
        pieces.push(text.slice(from, at), `"${mark}${found}"`);
        from = at + found.length;
      }
      at += Math.max(1, found.length);
    } else at++;
  }
  return { spelt: pieces.join('') + text.slice(from), restored: (value) => withNumbers(value, mark) };
}

/** Where a string ends that begins at `from`. */
export function endOfString(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x5c) at++;
    else if (code === 0x22) return at;
  }
  return text.length;
}

/** The numbers of an object or a list that JavaScript has otherwise, by their keys; undefined: there are none. */
export function writtenNumbers(holder: object): ReadonlyMap<string, WrittenNumber> | undefined {
  return (holder as { [WRITTEN]?: ReadonlyMap<string, WrittenNumber> })[WRITTEN];
}

function isOtherwise(text: string): boolean {
  const value = Number(text);
  return /[.eE]/.test(text) ? Number.isInteger(value) : text !== '' && !Number.isSafeInteger(value);
}

function withNumbers(value: unknown, mark: string): unknown {
  const numberOf = (found: unknown): WrittenNumber | undefined => {
    if (typeof found !== 'string' || !found.startsWith(mark)) return undefined;
    const text = found.slice(mark.length);
    return new WrittenNumber(/[.eE]/.test(text) ? Number(text) : BigInt(text));
  };
  const whole = numberOf(value);
  if (whole !== undefined) return Number(whole.value);
  const holders = [value];
  for (let holder = holders.pop(); holder !== undefined; holder = holders.pop()) {
    if (typeof holder !== 'object' || holder === null) continue;
    const written = new Map<string, WrittenNumber>();
    for (const [key, item] of Object.entries(holder)) {
      const number = numberOf(item);
      if (number === undefined) {
        if (typeof item === 'object' && item !== null) holders.push(item);
        continue;
      }
      (holder as Record<string, unknown>)[key] = Number(number.value);
      written.set(key, number);
    }
    // Enumerable, so that copies by spreading have it, too.
    if (written.size > 0) (holder as { [WRITTEN]?: unknown })[WRITTEN] = written;
  }
  return value;
}
