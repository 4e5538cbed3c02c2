import type { Inputs } from './inputs.js';

/**
 * Checks how an operation finds its sequences in the paged cache: from input `first` on, block tables [batch,
 * maxBlocks], the keys of each sequence [batch], and the queries that each brings [batch].
 */
export function pagedSequences(inputs: Inputs, first: number): void {
  inputs.at(first, 2);
  const batch = inputs.size(first, 0);
  inputs.sameShape(first + 1, [batch]);
  inputs.sameShape(first + 2, [batch]);
}
