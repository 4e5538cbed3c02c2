import { toDType } from '../../dtype.js';
import { patchOrder } from '../../media/index.js';
import { int64 } from '../integers.js';
import type { StepInput } from '../step-input.js';

/** Names of rows of a table, i64 [n], and of how much each counts, [n, 1]. */
export interface RowShare {
  readonly rows: string;
  readonly weights: string;
}

/** The four places of a square table around a patch, and how much each counts. */
export const CORNERS: readonly RowShare[] = [0, 1, 2, 3].map((corner) => ({
  rows: `position_corner_${corner}`,
  weights: `position_weight_${corner}`,
}));

/**
 * Learned positions of a square of `side` x `side`, stretched over a picture of any size: of each patch four rows of
 * the table, i64 [patches] each, and their weights [patches, 1] in the model's dtype (bilinear; transformers 5.24,
 * `get_vision_interpolation_indices_and_weights`). `lies`: whether the middles of the first and the last patch lie on
 * those of the table's, or the edges of the picture on the table's. `inSquare`: the table covers the square about the
 * picture that begins where it does.
 */
export const interpolatedPositions = (
  side: number,
  mergeSize: number,
  lies: keyof typeof PLACES = 'middles',
  inSquare = false,
): StepInput => ({
  names: CORNERS.flatMap(({ rows, weights }) => [rows, weights]),
  describe: ({ rows: patches, dtype }) =>
    Object.fromEntries(
      CORNERS.flatMap(({ rows, weights }) => [
        [rows, { dtype: 'i64', shape: [patches] } as const],
        [weights, { dtype, shape: [patches, 1] }],
      ]),
    ),
  make({ encoderInputs = [] }, { dtype }) {
    const total = encoderInputs.reduce((sum, { rows }) => sum + rows, 0);
    const made = CORNERS.map(() => ({ rows: new Int32Array(total), weights: new Float32Array(total) }));
    let at = 0;
    for (const { shape } of encoderInputs) {
      const [frames, rows, columns] = shape;
      const [high, wide] = inSquare ? Array<number>(2).fill(Math.max(rows, columns)) : [rows, columns];
      for (let frame = 0; frame < frames; frame++)
        for (const { x, y } of patchOrder(rows, columns, mergeSize)) {
          const [down, right] = [
            between(y, high ?? rows, side, lies),
            between(x, wide ?? columns, side, lies),
          ];
          for (const [corner, { rows: places, weights }] of made.entries()) {
            const [v, h] = [corner >> 1, corner & 1] as const;
            places[at] = (v ? down.next : down.first) * side + (h ? right.next : right.first);
            weights[at] = (v ? down.share : 1 - down.share) * (h ? right.share : 1 - right.share);
          }
          at++;
        }
    }
    return Object.fromEntries(
      CORNERS.flatMap(({ rows, weights }, corner) => [
        [rows, int64(made[corner]?.rows ?? new Int32Array())],
        [weights, toDType(made[corner]?.weights ?? new Float32Array(), [total, 1], dtype)],
      ]),
    );
  },
});

/** Where place `at` of `count` lies among `side` places. */
const PLACES = {
  middles: (at: number, count: number, side: number) =>
    count > 1 ? Math.fround((at * (side - 1)) / (count - 1)) : 0,
  edges: (at: number, count: number, side: number) =>
    Math.fround(Math.fround(Math.fround((at + 0.5) * side) / count) - 0.5),
};

/**
 * Between which two of `side` places one of `count` lies, and how near to the second. Those beyond an edge are the
 * edge.
 */
export function between(place: number, count: number, side: number, lies: keyof typeof PLACES) {
  const at = PLACES[lies](place, count, side);
  const floor = Math.floor(at);
  return { first: Math.max(floor, 0), next: Math.min(floor + 1, side - 1), share: at - floor };
}
