import type { StepInput } from '../step-input.js';
import { querySequences } from './query-sequences.js';

/** What learned queries read that look at patches, more of them at larger pictures. */
export const COUNTED_QUERIES = { rows: 'counted_query_rows', lens: 'counted_query_lens' } as const;

/**
 * For learned queries of which the first look at the patches of each picture, as many as it has tokens, at most
 * `most`: `counted_query_rows` i64 [queries], the queries again for each picture; `counted_query_lens` i32
 * [2, pictures], queries and patches of each.
 */
export const countedQueries = (most: number): StepInput => ({
  names: Object.values(COUNTED_QUERIES),
  describe: ({ batch }) => ({
    [COUNTED_QUERIES.rows]: { dtype: 'i64', shape: [batch * most] },
    [COUNTED_QUERIES.lens]: { dtype: 'i32', shape: [2, batch] },
  }),
  make({ encoderInputs = [] }) {
    const { rows, lens } = querySequences(
      encoderInputs.map(({ count }) => count),
      encoderInputs.map(({ rows: patches }) => patches),
    );
    return { [COUNTED_QUERIES.rows]: rows, [COUNTED_QUERIES.lens]: lens };
  },
});
