import type { Truncation } from './tokenizer-options.js';

/** A token of a text or a pair: its id, its type, and which text it comes from; undefined for what is put around them. */
export interface PlacedToken {
  readonly id: number;
  readonly type: number;
  readonly text: 0 | 1 | undefined;
}

/**
 * The tokens that stay: what is put around the texts does, and of the texts the shorter one longer, as the strategy
 * "longest_first" of tokenizers 0.23.3 and transformers. (The library for Node, 0.23.2, leaves the second text of two
 * long ones a token more.)
 */
export function truncated(
  tokens: readonly PlacedToken[],
  { maxLength, side }: Truncation,
): readonly PlacedToken[] {
  if (tokens.length <= maxLength) return tokens;
  const lens = [0, 1].map((text) => tokens.filter((token) => token.text === text).length);
  const [first = 0, second = 0] = lens;
  const budget = Math.max(0, maxLength - (tokens.length - first - second));
  const kept = sharesOf(budget, first, second);
  const seen: [number, number] = [0, 0];
  return tokens.filter(({ text }) => {
    if (text === undefined) return true;
    const place = seen[text]++;
    const [length, share] = [lens[text] as number, kept[text] as number];
    return side === 'right' ? place < share : place >= length - share;
  });
}

/** How many tokens two texts keep of a budget that is smaller than both together. */
function sharesOf(budget: number, first: number, second: number): readonly [number, number] {
  const half = Math.floor(budget / 2);
  const shorter = Math.min(first, second, half);
  return first > second ? [budget - shorter, shorter] : [shorter, budget - shorter];
}
