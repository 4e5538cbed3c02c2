import type { Field } from './fields.js';

/**
 * The slope of each head of ALiBi (arXiv:2108.12409, section 3): powers of 2^(-8/n) for n heads. Where n is no power of
 * two, those of the next smaller one, then every other one of twice as many, as the authors' code has it.
 */
export function alibiSlopes(heads: number): number[] {
  const even = 2 ** Math.floor(Math.log2(heads));
  const powers = (count: number, of: number, step: number) =>
    Array.from({ length: count }, (_, i) => 2 ** ((-8 / of) * (1 + i * step)));
  return [...powers(even, even, 1), ...powers(heads - even, 2 * even, 2)];
}

/** Those of all heads, in every model of the family. */
export const alibi: Field<readonly number[], { readonly numAttentionHeads: number }> = {
  read: (_, { numAttentionHeads }) => alibiSlopes(numAttentionHeads),
};
