import { toDType } from '../../dtype.js';
import { int32, int64 } from '../integers.js';
import type { StepInput } from '../step-input.js';
import { between, type RowShare } from './interpolated-positions.js';
import { squaresIn } from './square-windows.js';

/** What a convolution takes of squares of rows, which lie line by line; beyond their edges there are zeros. */
export interface ConvWindow {
  /** Rows along a side of a square. */
  readonly side: number;
  /** Rows along each side that a result sees. */
  readonly kernel: number;
  /** Rows from the first that a result sees to the first of the next result. */
  readonly stride: number;
  /** Zeros before the first row of a line, and before the first line. */
  readonly before: number;
  /** Results along a side. */
  readonly outSide: number;
}

/** With as many results as strides begin in a line, the zeros of an odd number being one more behind it: "same". */
export function sameWindow(side: number, kernel: number, stride: number): ConvWindow {
  const outSide = Math.ceil(side / stride);
  const zeros = Math.max((outSide - 1) * stride + kernel - side, 0);
  return { side, kernel, stride, before: Math.floor(zeros / 2), outSide };
}

/** With as many zeros before lines as behind them: half a kernel, rounded down. */
export function evenWindow(side: number, kernel: number, stride: number): ConvWindow {
  const before = Math.floor((kernel - 1) / 2);
  return { side, kernel, stride, before, outSide: Math.floor((side + 2 * before - kernel) / stride) + 1 };
}

/** Which rows of squares something takes. */
interface SquareRows {
  readonly name: string;
  /** Of a square; -1: the row that stands behind those of all squares. */
  readonly within: Int32Array;
  /** Rows of a square. */
  readonly each: number;
  /** Patches of the pictures that the squares are made of. */
  readonly area: number;
  /** Rows that are taken together; one by one when absent. */
  readonly together?: number;
}

/** i64 [squares * taken], or [squares * taken / together, together]. */
function squareRows({ name, within, each, area, together }: SquareRows): StepInput {
  const shapeOf = (squares: number): number[] =>
    together === undefined ? [squares * within.length] : [(squares * within.length) / together, together];
  return {
    names: [name],
    describe: ({ rows }) => ({ [name]: { dtype: 'i64', shape: shapeOf(rows / area) } }),
    make({ encoderInputs = [] }) {
      const squares = squaresIn(encoderInputs);
      const rows = new Int32Array(squares * within.length);
      for (let at = 0; at < rows.length; at++) {
        const row = within[at % within.length] as number;
        rows[at] = row < 0 ? squares * each : Math.floor(at / within.length) * each + row;
      }
      return { [name]: { ...int64(rows), shape: shapeOf(squares) } };
    },
  };
}

/** The rows that each result of a convolution sees. */
export const neighboursOf = ({ side, kernel, stride, before }: ConvWindow): string =>
  `neighbours_${side}_${kernel}_${stride}_${before}`;

/**
 * `neighbours_<side>_<kernel>_<stride>_<before>` i64 [squares * outSide * outSide, kernel * kernel]: the rows that each
 * result sees, line by line; of those beyond an edge the number of all rows. `area`: patches of the pictures that the
 * squares are made of. `patch`: where rows are pixels that lie patch by patch, how many of them a side of a patch has.
 */
export function neighbours(window: ConvWindow, area: number, patch?: number): StepInput {
  const { side, kernel, stride, before, outSide } = window;
  const rowAt = (y: number, x: number): number => {
    if (patch === undefined) return y * side + x;
    const which = Math.floor(y / patch) * (side / patch) + Math.floor(x / patch);
    return (which * patch + (y % patch)) * patch + (x % patch);
  };
  const within = Int32Array.from({ length: (outSide * kernel) ** 2 }, (_, at) => {
    const [row, tap] = [Math.floor(at / kernel ** 2), at % kernel ** 2];
    const y = Math.floor(row / outSide) * stride + Math.floor(tap / kernel) - before;
    const x = (row % outSide) * stride + (tap % kernel) - before;
    return y < 0 || y >= side || x < 0 || x >= side ? -1 : rowAt(y, x);
  });
  return squareRows({ name: neighboursOf(window), within, each: side * side, area, together: kernel ** 2 });
}

/** Of a square that is drawn out, the row that is nearest to each place. */
export const NEAREST_ROWS = 'nearest_rows';

/** `nearest_rows` i64 [squares * outSide * outSide]: rows of squares of `side` x `side`, drawn out to `outSide`. */
export const nearestRows = (side: number, outSide: number, area: number): StepInput => {
  const along = (place: number): number => Math.floor((place * side) / outSide);
  const within = Int32Array.from(
    { length: outSide ** 2 },
    (_, at) => along(Math.floor(at / outSide)) * side + along(at % outSide),
  );
  return squareRows({ name: NEAREST_ROWS, within, each: side * side, area });
};

/** Of a square that is drawn out, the four rows around each place, and how much each counts. */
export const DRAWN_ROWS: readonly RowShare[] = [0, 1, 2, 3].map((corner) => ({
  rows: `drawn_rows_${corner}`,
  weights: `drawn_shares_${corner}`,
}));

/**
 * `drawn_rows_<corner>` i64 [squares * outSide * outSide] and `drawn_shares_<corner>`, [.., 1] in the model's dtype: rows
 * of squares of `side` x `side`, drawn out bilinearly to `outSide`, edges on edges (`torch.nn.functional.interpolate`).
 */
export const drawnRows = (side: number, outSide: number, area: number): StepInput => {
  const places = Array.from({ length: outSide }, (_, at) => between(at, outSide, side, 'edges'));
  const count = outSide ** 2;
  const corners = DRAWN_ROWS.map(({ rows, weights }, corner) => {
    const [v, h] = [corner >> 1, corner & 1] as const;
    const within = new Int32Array(count);
    const shares = new Float32Array(count);
    for (const [y, down] of places.entries())
      for (const [x, right] of places.entries()) {
        within[y * outSide + x] = (v ? down.next : down.first) * side + (h ? right.next : right.first);
        shares[y * outSide + x] = (v ? down.share : 1 - down.share) * (h ? right.share : 1 - right.share);
      }
    return { rows: squareRows({ name: rows, within, each: side * side, area }), shares, weights };
  });
  return {
    names: DRAWN_ROWS.flatMap(({ rows, weights }) => [rows, weights]),
    describe: (sizes) =>
      Object.assign(
        {},
        ...corners.map(({ rows, weights }) => ({
          ...rows.describe(sizes),
          [weights]: { dtype: sizes.dtype, shape: [(sizes.rows / area) * count, 1] },
        })),
      ),
    make(step, run) {
      const squares = squaresIn(step.encoderInputs ?? []);
      const made = corners.map(({ rows, shares, weights }) => {
        const all = Float32Array.from({ length: squares * count }, (_, at) => shares[at % count] as number);
        return { ...rows.make?.(step, run), [weights]: toDType(all, [squares * count, 1], run.dtype) };
      });
      return Object.assign({}, ...made);
    },
  };
};

/** Of squares that are cut into blocks, the rows of each. */
export const POOLED_ROWS = 'pooled_rows';

/** `pooled_rows` i64 [squares * blocks, block * block]: of squares of `side` x `side` rows those of each block. */
export const pooledRows = (side: number, block: number, area: number): StepInput => {
  const along = side / block;
  const within = Int32Array.from({ length: side ** 2 }, (_, at) => {
    const [which, place] = [Math.floor(at / block ** 2), at % block ** 2];
    const y = Math.floor(which / along) * block + Math.floor(place / block);
    return y * side + (which % along) * block + (place % block);
  });
  return squareRows({ name: POOLED_ROWS, within, each: side * side, area, together: block ** 2 });
};

/** Which rows become the tokens of a picture that has an end. */
export const ENDED_PICTURES = 'ended_pictures';

/** `ended_pictures` i64 [squares * (tokens + 1)]: the rows of each picture, then that which stands behind all. */
export const endedPictures = (tokens: number, area: number): StepInput => {
  const within = Int32Array.from({ length: tokens + 1 }, (_, at) => (at < tokens ? at : -1));
  return squareRows({ name: ENDED_PICTURES, within, each: tokens, area });
};

/** How many queries squares have, and how many keys they look at. */
export const squareLensOf = (queries: number, keys: number): string => `square_lens_${queries}_${keys}`;

/** `square_lens_<queries>_<keys>` i32 [2, squares]. */
export const squareLens = (queries: number, keys: number, area: number): StepInput => {
  const name = squareLensOf(queries, keys);
  return {
    names: [name],
    describe: ({ rows }) => ({ [name]: { dtype: 'i32', shape: [2, rows / area] } }),
    make({ encoderInputs = [] }) {
      const count = encoderInputs.length;
      const lens = Int32Array.from({ length: 2 * count }, (_, at) => (at < count ? queries : keys));
      return { [name]: int32(lens, [2, count]) };
    },
  };
};
