import type { CodePoints } from './expression.js';

/** Bytes from the first to the last, both included. */
export type Bytes = readonly [first: number, last: number];

/** What code points of one length in UTF-8 have at most; surrogates are no characters. */
const BLOCKS: readonly CodePoints[] = [
  [0, 0x7f],
  [0x80, 0x7ff],
  [0x800, 0xd7ff],
  [0xe000, 0xffff],
  [0x10000, 0x10ffff],
];

/**
 * The UTF-8 of a range of code points: sequences of ranges of bytes, in which any byte of one may be followed by any of
 * the next (the construction that Ken Thompson's grep used).
 */
export function utf8Ranges([first, last]: CodePoints): Bytes[][] {
  const found: Bytes[][] = [];
  for (const [low, high] of BLOCKS) {
    const [from, to] = [Math.max(first, low), Math.min(last, high)];
    if (from <= to) split(from, to, found);
  }
  return found;
}

/** Cuts a range until its ends differ in such a way that each byte's range goes with every other's. */
function split(first: number, last: number, found: Bytes[][]): void {
  const low = encode(first);
  const high = encode(last);
  for (let free = 1; free < low.length; free++) {
    // The last `free` bytes must run through all their values, or the bytes before them be the same.
    const mask = 2 ** (6 * free) - 1;
    if (Math.floor(first / (mask + 1)) === Math.floor(last / (mask + 1))) continue;
    if ((first & mask) !== 0) {
      const cut = first | mask;
      split(first, cut, found);
      split(cut + 1, last, found);
      return;
    }
    if ((last & mask) !== mask) {
      const cut = last - (last & mask);
      split(first, cut - 1, found);
      split(cut, last, found);
      return;
    }
  }
  found.push(low.map((byte, i) => [byte, high[i] as number] as const));
}

const encode = (codePoint: number): number[] => [...Buffer.from(String.fromCodePoint(codePoint))];
