import { int64 } from '../integers.js';
import type { StepInput } from '../step-input.js';

/** Which rows of an encoder each query of a window stands for, and where rows are in their window. */
export const QUERY_BLOCKS = { rows: 'query_blocks', places: 'window_places' } as const;

/**
 * Of windows of `window` x `window` rows, which come one behind the other, each line by line: `query_blocks` i64
 * [windows * side * side, area], the rows of each of `side` x `side` blocks, line by line; `window_places` i64 [rows], of
 * each the place in its window. `side` divides `window`.
 */
export function queryBlocks(window: number, side: number): StepInput {
  const along = window / side;
  const area = along * along;
  const within = Int32Array.from({ length: window * window }, (_, at) => {
    const [query, place] = [Math.floor(at / area), at % area];
    const y = Math.floor(query / side) * along + Math.floor(place / along);
    return y * window + (query % side) * along + (place % along);
  });
  return {
    names: Object.values(QUERY_BLOCKS),
    describe({ rows }) {
      return {
        [QUERY_BLOCKS.rows]: { dtype: 'i64', shape: [rows / area, area] },
        [QUERY_BLOCKS.places]: { dtype: 'i64', shape: [rows] },
      };
    },
    make({ encoderInputs = [] }) {
      const rows = encoderInputs.reduce((sum, input) => sum + input.rows, 0);
      const blocks = Int32Array.from({ length: rows }, (_, at) => {
        const place = at % within.length;
        return at - place + (within[place] ?? 0);
      });
      const places = blocks.map((_, at) => at % within.length);
      return {
        [QUERY_BLOCKS.rows]: { ...int64(blocks), shape: [rows / area, area] },
        [QUERY_BLOCKS.places]: int64(places),
      };
    },
  };
}
