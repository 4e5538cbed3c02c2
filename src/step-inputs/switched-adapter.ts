import { toDType } from '../dtype.js';
import type { StepInput } from './step-input.js';

/** How much an adapter counts for each token. */
export const ADAPTER_SHARES = 'adapter_shares';

/**
 * `adapter_shares` [tokens, 1] in the model's dtype: `scale` for all tokens of sequences that show something, words
 * before and behind it among them, and 0 for those of text alone.
 */
export const switchedAdapter = (scale: number): StepInput => ({
  names: [ADAPTER_SHARES],
  dependsOnInserts: true,
  describe: ({ rows, dtype }) => ({ [ADAPTER_SHARES]: { dtype, shape: [rows, 1] } }),
  recipes: () => ({ [ADAPTER_SHARES]: { made: 'insert_shares', scale } }),
  make({ queryLens, inserts = [] }, { dtype }) {
    const shares = [...queryLens].flatMap((count, row) =>
      Array<number>(count).fill((inserts[row]?.length ?? 0) > 0 ? scale : 0),
    );
    return { [ADAPTER_SHARES]: toDType(Float32Array.from(shares), [shares.length, 1], dtype) };
  },
});
