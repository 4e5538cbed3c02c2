import type { Tensor } from '../../dtype.js';
import { int32, int64 } from '../integers.js';

/**
 * Of `queries` learned queries for each sequence of an encoder's rows, or as many as each of them says: `rows` i64
 * [queries of all], the queries again for each; `lens` i32 [2, sequences], how many queries each has, and `seen`, how
 * many rows they look at.
 */
export function querySequences(
  queries: number | readonly number[],
  seen: readonly number[],
): { readonly rows: Tensor; readonly lens: Tensor } {
  const counts = typeof queries === 'number' ? seen.map(() => queries) : queries;
  const rows = counts.flatMap((count) => Array.from({ length: count }, (_, row) => row));
  return {
    rows: int64(Int32Array.from(rows)),
    lens: int32(Int32Array.from([...counts, ...seen]), [2, seen.length]),
  };
}
