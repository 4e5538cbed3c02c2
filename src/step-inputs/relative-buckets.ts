import { int32 } from './integers.js';
import type { StepInput } from './step-input.js';

export const RELATIVE_BUCKETS = 'relative_buckets';

/**
 * `relative_buckets` i32 [context, context]: for each query and key the row of a table that holds what is learned about
 * their distance. `bucketOf` says which row belongs to `key - query`.
 */
export const relativeBuckets = (bucketOf: (distance: number) => number): StepInput => ({
  names: [RELATIVE_BUCKETS],
  describe: ({ contextLen }) => ({ [RELATIVE_BUCKETS]: { dtype: 'i32', shape: [contextLen, contextLen] } }),
  make({ seqLens }) {
    const context = Math.max(...seqLens);
    const byDistance = Int32Array.from({ length: 2 * context - 1 }, (_, at) => bucketOf(at - (context - 1)));
    const buckets = new Int32Array(context * context);
    for (let query = 0; query < context; query++) {
      const first = context - 1 - query;
      buckets.set(byDistance.subarray(first, first + context), query * context);
    }
    return { [RELATIVE_BUCKETS]: int32(buckets, [context, context]) };
  },
});

/** How many rows a table has whose rows `logarithmicBucket` finds. */
export const LOGARITHMIC_BUCKETS = 32;
/** Of each side: distances of one row each, and rows in all. */
const [EXACT, SIDE] = [LOGARITHMIC_BUCKETS / 4, LOGARITHMIC_BUCKETS / 2];
/** From here on all distances have the last row of their side. */
const FARTHEST = 128;

/**
 * The row of a distance: keys before the query have the first half of the table, keys behind it the second; near ones
 * have a row each, farther ones share rows that grow with the logarithm (arXiv:1910.10683, section 2.1). Computed in f32,
 * as what was trained was.
 */
export function logarithmicBucket(distance: number): number {
  const side = distance > 0 ? SIDE : 0;
  const far = Math.abs(distance);
  if (far < EXACT) return side + far;
  const f32 = Math.fround;
  const share = f32(f32(Math.log(far / EXACT)) / f32(Math.log(FARTHEST / EXACT)));
  return side + Math.min(EXACT + Math.trunc(f32(share * (SIDE - EXACT))), SIDE - 1);
}
