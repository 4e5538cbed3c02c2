import { int32 } from '../integers.js';
import type { StepInput } from '../step-input.js';

export const DISTANCE_ROWS = 'distance_rows';
export const QUERY_PLACES = 'query_places';
export const KEY_PLACES = 'key_places';

/**
 * For attention whose scores are sums over what is learned about distances, one for each token and distance:
 *
 * - `distance_rows` i32 [R]: the rows of a table of distances that the step's longest text can ask for;
 * - `query_places` i32 [batch, context, context]: for a query and a key of each text, where in a list of R numbers for
 *   each token of the step the one of the query and of their distance stands; 0 beyond the text's end;
 * - `key_places`, the same shape: where the one of the key and of the same distance stands.
 *
 * `rowOf` says which of the table's `rows` belongs to the distance `query - key`.
 */
export const relativePlaces = (rowOf: (distance: number) => number, rows: number): StepInput => ({
  names: [DISTANCE_ROWS, QUERY_PLACES, KEY_PLACES],
  describe({ batch, contextLen }) {
    const places = { dtype: 'i32', shape: [batch, contextLen, contextLen] } as const;
    return {
      [DISTANCE_ROWS]: { dtype: 'i32', shape: [Math.min(rows, 2 * contextLen - 1)] },
      [QUERY_PLACES]: places,
      [KEY_PLACES]: places,
    };
  },
  make({ seqLens }) {
    const context = Math.max(...seqLens);
    const all = Array.from({ length: 2 * context - 1 }, (_, at) => rowOf(at - (context - 1)));
    const used = [...new Set(all)];
    const columnOf = new Map(used.map((row, column) => [row, column]));
    // By `query - key + context - 1`.
    const columns = Int32Array.from(all, (row) => columnOf.get(row) ?? 0);
    const places = [QUERY_PLACES, KEY_PLACES].map(() => new Int32Array(seqLens.length * context * context));
    const [queryPlaces, keyPlaces] = places as [Int32Array, Int32Array];
    let first = 0;
    for (const [text, length] of seqLens.entries()) {
      for (let query = 0; query < length; query++) {
        const row = (text * context + query) * context;
        for (let key = 0; key < length; key++) {
          const column = columns[query - key + context - 1] as number;
          queryPlaces[row + key] = (first + query) * used.length + column;
          keyPlaces[row + key] = (first + key) * used.length + column;
        }
      }
      first += length;
    }
    const shape = [seqLens.length, context, context];
    return {
      [DISTANCE_ROWS]: int32(Int32Array.from(used)),
      [QUERY_PLACES]: int32(queryPlaces, shape),
      [KEY_PLACES]: int32(keyPlaces, shape),
    };
  },
});

/** How DeBERTa finds the row of a distance: `buckets` 0 stands for a row of each. */
export interface SignedBuckets {
  readonly buckets: number;
  /** Distances that the model knows. */
  readonly farthest: number;
}

/** How many rows a table of signed buckets has. */
export const signedBucketRows = ({ buckets, farthest }: SignedBuckets): number => 2 * (buckets || farthest);

/**
 * The row of a distance: that of 0 is the table's middle; near ones have a row each, farther ones share rows that grow
 * with the logarithm (the published code of DeBERTa; transformers 5.24, make_log_bucket_position). Computed in f32, as
 * what was trained was.
 */
export function signedBucket(distance: number, { buckets, farthest }: SignedBuckets): number {
  const span = buckets || farthest;
  const near = Math.floor(buckets / 2);
  const far = Math.abs(distance);
  let bucket = distance;
  if (buckets > 0 && far > near) {
    const f32 = Math.fround;
    const share = f32(f32(Math.log(f32(far / near))) / f32(Math.log(f32((farthest - 1) / near))));
    bucket = Math.sign(distance) * (Math.ceil(f32(share * (near - 1))) + near);
  }
  return Math.min(Math.max(bucket + span, 0), 2 * span - 1);
}
