import { toDType } from '../dtype.js';
import type { Insert } from '../media/index.js';
import type { StepInput } from './step-input.js';

/** How much an adapter counts for each token. */
export const ADAPTER_SHARES = 'adapter_shares';

/** What prompts show for which an adapter counts: a picture, whatever else; or sound alone. */
export type Showing = 'pictures' | 'sound';

/** How much an adapter counts for each token that counts for one kind of prompts. */
export const adapterShares = (of: Showing): string => `${of}_${ADAPTER_SHARES}`;

const shows = (inserts: readonly Insert[], of: Showing | undefined): boolean => {
  if (of === undefined || inserts.length === 0) return inserts.length > 0;
  return inserts.some(({ input }) => input.encoder !== 'second') === (of === 'pictures');
};

/**
 * `adapter_shares`, or one of another name, [tokens, 1] in the model's dtype: `scale` for all tokens of sequences that show
 * something, or something of one kind, words before and behind it among them, and 0 for those of text alone.
 */
export const switchedAdapter = (scale: number, of?: Showing): StepInput => {
  const name = of === undefined ? ADAPTER_SHARES : adapterShares(of);
  return {
    names: [name],
    dependsOnInserts: true,
    describe: ({ rows, dtype }) => ({ [name]: { dtype, shape: [rows, 1] } }),
    recipes: () => ({ [name]: { made: 'insert_shares', scale, ...(of && { of }) } }),
    make({ queryLens, inserts = [] }, { dtype }) {
      const shares = [...queryLens].flatMap((count, row) =>
        Array<number>(count).fill(shows(inserts[row] ?? [], of) ? scale : 0),
      );
      return { [name]: toDType(Float32Array.from(shares), [shares.length, 1], dtype) };
    },
  };
};
