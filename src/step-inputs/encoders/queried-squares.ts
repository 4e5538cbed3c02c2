import { type Tensor, toDType } from '../../dtype.js';
import { int32, int64 } from '../integers.js';
import { maskOf } from '../mask-values.js';
import type { StepInput } from '../step-input.js';
import { squaresIn } from './square-windows.js';

/** What rows of squares read behind which learned queries stand. */
export const QUERIED = {
  rows: 'queried_rows',
  lens: 'queried_len',
  seen: 'queried_seen',
  cos: 'queried_cos',
  sin: 'queried_sin',
  answers: 'answer_rows',
} as const;

/** The mask of so many rows and as many queries behind them. */
export const queriedMaskOf = (count: number): string => `queried_mask_${count}`;

/** Squares of `area` patches each, of which `count` rows are left, and as many queries behind those of each. */
export interface QueriedSquares {
  readonly area: number;
  readonly count: number;
  /** Of the rotary embedding, by places among a square's rows and queries. */
  readonly headDim: number;
  readonly theta: number;
}

/**
 * For S squares whose rows all see each other, and of whose queries each sees the rows and the queries up to itself; N
 * is 2 * count:
 *
 * - `queried_rows` i64 [S * N]: of all squares' rows, behind which the queries stand once, those of each
 *   square, then the queries;
 * - `queried_len` i32 [S]: N of each;
 * - `queried_seen` i32 [S * N]: how many of its square's N each sees; and, for programs that read masks,
 *   `queried_mask_<count>` [N, N] in the model's dtype;
 * - `queried_cos` and `queried_sin` [S * N, headDim] in the model's dtype: by what each turns;
 * - `answer_rows` i64 [S * count]: where the queries of all squares are among these.
 */
export function queriedSquares({ area, count, headDim, theta }: QueriedSquares): StepInput {
  const [names, mask] = [QUERIED, queriedMaskOf(count)];
  const all = 2 * count;
  const seenBy = Array.from({ length: all }, (_, place) => Math.max(count, place + 1));
  const repeated = (squares: number, of: (place: number, which: number) => number, each = all) =>
    Int32Array.from({ length: squares * each }, (_, at) => of(at % each, Math.floor(at / each)));
  return {
    names: [...Object.values(names), mask],
    describe({ rows, dtype }) {
      const squares = rows / area;
      const turned = { dtype, shape: [squares * all, headDim] } as const;
      return {
        [names.rows]: { dtype: 'i64', shape: [squares * all] },
        [names.lens]: { dtype: 'i32', shape: [squares] },
        [names.seen]: { dtype: 'i32', shape: [squares * all] },
        [mask]: { dtype, shape: [all, all] },
        [names.cos]: turned,
        [names.sin]: turned,
        [names.answers]: { dtype: 'i64', shape: [squares * count] },
      };
    },
    hold: ({ dtype }) => ({
      [mask]: maskOf(
        seenBy.map((_, place) => place),
        all,
        { reader: 'SelfAttention', dtype, seen: seenBy },
      ),
    }),
    make({ encoderInputs = [] }, { dtype }) {
      const squares = squaresIn(encoderInputs);
      const inverse = Float32Array.from({ length: headDim / 2 }, (_, i) => 1 / theta ** ((2 * i) / headDim));
      const table = (of: (angle: number) => number): Tensor => {
        const values = new Float32Array(squares * all * headDim);
        for (let at = 0; at < values.length; at++) {
          const place = Math.floor(at / headDim) % all;
          values[at] = of(Math.fround(place * (inverse[at % (headDim / 2)] ?? 0)));
        }
        return toDType(values, [squares * all, headDim], dtype);
      };
      const rowOf = (place: number, which: number): number =>
        place < count ? which * count + place : squares * count + place - count;
      return {
        [names.rows]: int64(repeated(squares, rowOf)),
        [names.lens]: int32(new Int32Array(squares).fill(all)),
        [names.seen]: int32(repeated(squares, (place) => seenBy[place] ?? 0)),
        [names.cos]: table(Math.cos),
        [names.sin]: table(Math.sin),
        [names.answers]: int64(repeated(squares, (place, which) => which * all + count + place, count)),
      };
    },
  };
}
