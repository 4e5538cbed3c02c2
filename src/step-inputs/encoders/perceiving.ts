import { int64 } from '../integers.js';
import type { StepInput } from '../step-input.js';
import { querySequences } from './query-sequences.js';
import { RESAMPLING } from './resampling.js';

/** What learned queries read that look at patches and at each other. */
export const PERCEIVING = {
  queries: RESAMPLING.queries,
  lens: RESAMPLING.lens,
  seen: 'seen_rows',
} as const;

/**
 * For `queries` learned queries that look at the patches of each picture and at each other: `query_rows` i64 [pictures *
 * queries], the queries again for each picture; `resampler_len` i32 [2, pictures], queries of each and what they look
 * at; `seen_rows` i64 [patches + pictures * queries], the latter in their order: of all patches, behind which all
 * queries stand, those of each picture, then its queries.
 */
export const perceiving = (queries: number): StepInput => ({
  names: Object.values(PERCEIVING),
  describe: ({ rows, batch }) => ({
    [PERCEIVING.queries]: { dtype: 'i64', shape: [batch * queries] },
    [PERCEIVING.lens]: { dtype: 'i32', shape: [2, batch] },
    [PERCEIVING.seen]: { dtype: 'i64', shape: [rows + batch * queries] },
  }),
  make({ encoderInputs = [] }) {
    const patches = encoderInputs.map(({ rows }) => rows);
    const total = patches.reduce((sum, count) => sum + count, 0);
    let first = 0;
    const seen = patches.flatMap((count, picture) => {
      const own = Array.from({ length: count }, (_, patch) => first + patch);
      first += count;
      return [...own, ...Array.from({ length: queries }, (_, row) => total + picture * queries + row)];
    });
    const { rows, lens } = querySequences(
      queries,
      patches.map((count) => count + queries),
    );
    return {
      [PERCEIVING.queries]: rows,
      [PERCEIVING.lens]: lens,
      [PERCEIVING.seen]: int64(Int32Array.from(seen)),
    };
  },
});
