import { patchOrder } from '../../media/index.js';
import { int64 } from '../integers.js';
import type { StepInput } from '../step-input.js';

export const BUCKETED_POSITIONS = 'bucketed_positions';

/**
 * `bucketed_positions` i64 [patches]: which row each patch takes of a table of `side` x `side` learned positions that
 * covers pictures of any size: that of the cell it lies in (arXiv:2307.06304, section 2.1; the published code of
 * MiniCPM-V 2.6). `bucketsIn`: in which of `side` cells each of so many places of an axis lies. Patches come block by block
 * of `mergeSize` a side.
 */
export const bucketedPositions = (side: number, bucketsIn = bucketsOf, mergeSize = 1): StepInput => ({
  names: [BUCKETED_POSITIONS],
  describe: ({ rows }) => ({ [BUCKETED_POSITIONS]: { dtype: 'i64', shape: [rows] } }),
  make: ({ encoderInputs = [] }) => ({
    [BUCKETED_POSITIONS]: int64(
      Int32Array.from(
        encoderInputs.flatMap(({ shape: [frames, rows, columns] }) => {
          const [down, right] = [bucketsIn(rows, side), bucketsIn(columns, side)];
          const one = Array.from(
            patchOrder(rows, columns, mergeSize),
            ({ x, y }) => (down[y] ?? 0) * side + (right[x] ?? 0),
          );
          return Array.from({ length: frames }, () => one).flat();
        }),
      ),
    ),
  }),
});

/**
 * The same of pictures that are all `side` patches wide and high: each patch takes the row of its own place. Patches come
 * block by block of `mergeSize` a side.
 */
export function gridPositions(side: number, mergeSize = 1): StepInput {
  const places = [...patchOrder(side, side, mergeSize)].map(({ x, y }) => y * side + x);
  return {
    ...bucketedPositions(side),
    make: ({ encoderInputs = [] }) => ({
      [BUCKETED_POSITIONS]: int64(
        Int32Array.from(
          encoderInputs.flatMap(({ rows }) =>
            Array.from({ length: rows }, (_, patch) => places[patch % places.length] ?? 0),
          ),
        ),
      ),
    }),
  };
}

/** What `torch.arange` computes at once. */
const RUN = 8;

/**
 * In which of `side` cells each of `count` places of an axis lies. A place on the border of two belongs to the one whose
 * side the rounding of `torch.arange(0, 1, 1 / count)` takes: what the encoder was trained with, and the same on every
 * x86 CPU, for it is computed in runs of eight from a rounded first number.
 */
export function bucketsOf(count: number, side: number): Int32Array {
  const step = f32(1 / count);
  return cells(count, side, (place) => {
    const first = place - (place % RUN);
    const isWholeRun = first + RUN <= count;
    return isWholeRun ? f32(f32(first * step) + (place - first) * step) : f32(place * step);
  });
}

/** The same where each place is a product that is rounded once (transformers 5.24, `Idefics2VisionEmbeddings`). */
export function bucketsByProduct(count: number, side: number): Int32Array {
  const step = f32(1 / count);
  return cells(count, side, (place) => f32(place * step));
}

/** The same where each place is a quotient (transformers 5.24, `get_vision_nearest_position_ids`). */
export const bucketsByQuotient = (count: number, side: number): Int32Array =>
  cells(count, side, (place) => f32(place / count));

const f32 = Math.fround;

/** In which of `side` cells of [0, 1) each of `count` places lies, the first ones first. */
function cells(count: number, side: number, placeOf: (place: number) => number): Int32Array {
  let bucket = 0;
  return Int32Array.from({ length: count }, (_, place) => {
    while (bucket + 1 < side && f32((bucket + 1) / side) <= placeOf(place)) bucket++;
    return bucket;
  });
}
