import type { Tensor } from '../../dtype.js';
import { int32, int64 } from '../integers.js';

/**
 * Of `queries` learned queries for each sequence of an encoder's rows: `rows` i64 [sequences * queries], the queries
 * again for each; `lens` i32 [2, sequences], how many queries each has, and `seen`, how many rows they look at.
 */
export function querySequences(
  queries: number,
  seen: readonly number[],
): { readonly rows: Tensor; readonly lens: Tensor } {
  const count = seen.length;
  return {
    rows: int64(Int32Array.from({ length: count * queries }, (_, row) => row % queries)),
    lens: int32(Int32Array.from([...seen.map(() => queries), ...seen]), [2, count]),
  };
}
