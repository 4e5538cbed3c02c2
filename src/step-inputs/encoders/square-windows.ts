import { toDType } from '../../dtype.js';
import type { EncoderInput } from '../../media/index.js';
import { int64 } from '../integers.js';
import type { StepInput } from '../step-input.js';

/** Step inputs of an encoder of square pictures of `area` patches each, described for whole pictures alone. */
export const ofWholePictures = (area: number, inputs: readonly StepInput[]): readonly StepInput[] =>
  inputs.map((input) => ({
    ...input,
    describe: (sizes) =>
      input.describe({ ...sizes, rows: Math.max(1, Math.floor(sizes.rows / area)) * area }),
  }));

/** Squares of one size that are seen together: pictures, or tiles of them. */
export const squaresIn = (inputs: readonly EncoderInput[]): number =>
  inputs.reduce((sum, { shape: [frames] }) => sum + frames, 0);

/** What attention over squares of tokens reads that knows their places by vectors of distances along either axis. */
export const squarePlaces = (square: string) => ({
  lines: `${square}_lines`,
  columns: `${square}_columns`,
  distances: `${square}_distances`,
  places: `${square}_places`,
});

/**
 * Numbers for the lines of a square of `side` lines, and as many for its columns, with which kernels can read heads.
 */
export function placesAlong(side: number, headDim: number): number {
  let along = side;
  while ((headDim + 2 * along) % 8 !== 0 && along < side + 8) along++;
  return along;
}

/** Squares whose rows know their places, and heads that see them. */
export interface SquareDistances {
  /** Rows along a side. */
  readonly side: number;
  /** Squares of a picture, which has so many patches. */
  readonly each: number;
  readonly patches: number;
  readonly headDim: number;
}

/**
 * For squares of `side` x `side` rows, whose lines lie one behind the other (B lines, T rows), N being `placesAlong`:
 *
 * - `<square>_lines` i64 [B, side]: the rows of each line, which come so; `<square>_columns`, the same shape: those
 *   of each column;
 * - `<square>_distances` i64 [B, N]: of a line, or column, and each of its square, which row of a table has their
 *   distance, from 1 - side on; 0 behind the last;
 * - `<square>_places` [T, 2 * N] in the model's dtype: of each row sqrt(headDim) at its line and, behind all lines,
 *   at its column.
 */
export function squareDistances(
  square: string,
  { side, each, patches, headDim }: SquareDistances,
): StepInput {
  const names = squarePlaces(square);
  const [area, along, weight] = [side * side, placesAlong(side, headDim), Math.sqrt(headDim)];
  return {
    names: Object.values(names),
    describe({ rows, dtype }) {
      const squares = (rows / patches) * each;
      const lines = { dtype: 'i64', shape: [squares * side, side] } as const;
      return {
        [names.lines]: lines,
        [names.columns]: lines,
        [names.distances]: { dtype: 'i64', shape: [squares * side, along] },
        [names.places]: { dtype, shape: [squares * area, 2 * along] },
      };
    },
    make({ encoderInputs = [] }, { dtype }) {
      const total = squaresIn(encoderInputs) * each * area;
      const ofRows = (find: (first: number, line: number, place: number) => number) => {
        const found = Int32Array.from({ length: total }, (_, at) => {
          const within = at % area;
          return find(at - within, Math.floor(within / side), within % side);
        });
        return { ...int64(found), shape: [total / side, side] };
      };
      const distances = new Int32Array((total / side) * along);
      const places = new Float32Array(total * 2 * along);
      for (let row = 0; row < total; row++) {
        const [line, place] = [Math.floor((row % area) / side), row % side];
        places[row * 2 * along + line] = weight;
        places[row * 2 * along + along + place] = weight;
        distances[Math.floor(row / side) * along + place] = line - place + side - 1;
      }
      return {
        [names.lines]: ofRows((first, line, place) => first + line * side + place),
        [names.columns]: ofRows((first, line, place) => first + place * side + line),
        [names.distances]: { ...int64(distances), shape: [total / side, along] },
        [names.places]: toDType(places, [total, 2 * along], dtype),
      };
    },
  };
}

export const WINDOWED = { into: 'rows_of_windows', back: 'windows_of_rows' } as const;

/**
 * Squares of `side` x `side` rows in windows of `window` x `window`, those beyond their edges being empty:
 * `rows_of_windows` i64 [windows * area], the row at each place of each window, of an empty one the number of all
 * rows; `windows_of_rows` i64 [rows], where each row is among those.
 */
export function squareWindows(side: number, window: number): StepInput {
  const [along, area] = [Math.ceil(side / window), window * window];
  const each = along * along * area;
  // By window, line and place.
  const within = Int32Array.from({ length: each }, (_, at) => {
    const [which, place] = [Math.floor(at / area), at % area];
    const y = Math.floor(which / along) * window + Math.floor(place / window);
    const x = (which % along) * window + (place % window);
    return y < side && x < side ? y * side + x : -1;
  });
  const back = new Int32Array(side * side);
  for (const [at, row] of within.entries()) if (row >= 0) back[row] = at;
  return {
    names: Object.values(WINDOWED),
    describe({ rows }) {
      const pictures = rows / (side * side);
      return {
        [WINDOWED.into]: { dtype: 'i64', shape: [pictures * each] },
        [WINDOWED.back]: { dtype: 'i64', shape: [pictures * side * side] },
      };
    },
    make({ encoderInputs = [] }) {
      const squares = squaresIn(encoderInputs);
      const all = squares * side * side;
      const ofPictures = (one: Int32Array, step: number) =>
        int64(
          Int32Array.from(
            Array.from({ length: squares }, (_, square) =>
              [...one].map((at) => (at < 0 ? all : at + square * step)),
            ).flat(),
          ),
        );
      return {
        [WINDOWED.into]: ofPictures(within, side * side),
        [WINDOWED.back]: ofPictures(back, each),
      };
    },
  };
}
