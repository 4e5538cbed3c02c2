import { toDType } from '../../dtype.js';
import { int64 } from '../integers.js';
import type { StepInput } from '../step-input.js';
import { querySequences } from './query-sequences.js';

/** What a resampler reads beside patches. */
export const RESAMPLING = {
  queries: 'query_rows',
  lens: 'resampler_len',
  columns: 'patch_columns',
  rows: 'patch_rows',
  table: 'sincos_table',
} as const;

/**
 * For `queries` learned queries that look at the patches of each picture, whose keys are `width` wide: `query_rows` i64
 * [pictures * queries], the queries again for each picture; `resampler_len` i32 [2, pictures], queries and patches of each;
 * `patch_columns` and `patch_rows` i64 [patches], the places of patches within their pictures; `sincos_table`
 * [places, width / 2] in the model's dtype: of each place of an axis the sines of its frequencies, then the cosines
 * (arXiv:2111.06377, appendix A.1; of two axes the columns come first).
 */
export const resampling = (queries: number, width: number): StepInput => ({
  names: Object.values(RESAMPLING),
  describe: ({ rows, batch, dtype }) => ({
    [RESAMPLING.queries]: { dtype: 'i64', shape: [batch * queries] },
    [RESAMPLING.lens]: { dtype: 'i32', shape: [2, batch] },
    [RESAMPLING.columns]: { dtype: 'i64', shape: [rows] },
    [RESAMPLING.rows]: { dtype: 'i64', shape: [rows] },
    [RESAMPLING.table]: { dtype, shape: [rows, width / 2] },
  }),
  make({ encoderInputs = [] }, { dtype }) {
    const total = encoderInputs.reduce((sum, { rows }) => sum + rows, 0);
    const [columns, rows] = [new Int32Array(total), new Int32Array(total)];
    let [at, places] = [0, 1];
    for (const { shape } of encoderInputs) {
      const [, high, wide] = shape;
      for (let place = 0; place < high * wide; place++, at++) {
        columns[at] = place % wide;
        rows[at] = Math.floor(place / wide);
      }
      places = Math.max(places, high, wide);
    }
    const asked = querySequences(
      queries,
      encoderInputs.map(({ rows: count }) => count),
    );
    return {
      [RESAMPLING.queries]: asked.rows,
      [RESAMPLING.lens]: asked.lens,
      [RESAMPLING.columns]: int64(columns),
      [RESAMPLING.rows]: int64(rows),
      [RESAMPLING.table]: toDType(sincosTable(places, width / 2), [places, width / 2], dtype),
    };
  },
});

/** [places, width] in f32; every step rounded to it, as numpy rounds. */
function sincosTable(places: number, width: number): Float32Array {
  const count = width / 2;
  const table = new Float32Array(places * width);
  for (let i = 0; i < count; i++) {
    const frequency = Math.fround(1 / Math.fround(10_000 ** Math.fround(i / count)));
    for (let place = 0; place < places; place++) {
      const angle = Math.fround(place * frequency);
      table[place * width + i] = Math.sin(angle);
      table[place * width + count + i] = Math.cos(angle);
    }
  }
  return table;
}
