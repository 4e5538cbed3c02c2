import { toDType } from '../dtype.js';
import { patchOrder } from '../media/index.js';
import type { StepInput } from './step-input.js';

/** How much each place of a square table counts for each patch. */
export const POSITION_SHARES = 'position_shares';

/** Of Keys' kernel, as torch has it. */
const A = -0.75;

/** The shares of the four places from `floor - 1` on of a point that lies `t` behind `floor` (arXiv:1906.11172, cubic convolution). */
function cubicShares(t: number): readonly number[] {
  const near = (x: number): number => ((A + 2) * x - (A + 3)) * x * x + 1;
  const far = (x: number): number => ((A * x - 5 * A) * x + 8 * A) * x - 4 * A;
  return [far(t + 1), near(t), near(1 - t), far(2 - t)];
}

/** Of one axis: which of `side` places count for place `at` of `count`, and how much; those beyond an edge are the edge. */
function placesOf(
  at: number,
  count: number,
  side: number,
): { readonly place: number; readonly share: number }[] {
  const point = ((at + 0.5) / count) * side - 0.5;
  const first = Math.floor(point);
  return cubicShares(point - first).map((share, i) => ({
    place: Math.min(Math.max(first - 1 + i, 0), side - 1),
    share,
  }));
}

/**
 * `position_shares` [patches, side * side] in the model's dtype: learned positions of a square of `side` x `side`, stretched
 * over a picture of any size, as sums of its rows (bicubic, pixel centres on pixel centres; transformers 5.24,
 * `Glm4vVisionEmbeddings`). A product with the table makes the positions.
 */
export const sampledPositions = (side: number, mergeSize: number): StepInput => ({
  names: [POSITION_SHARES],
  describe: ({ rows, dtype }) => ({ [POSITION_SHARES]: { dtype, shape: [rows, side * side] } }),
  make({ encoderInputs = [] }, { dtype }) {
    const total = encoderInputs.reduce((sum, { rows }) => sum + rows, 0);
    const shares = new Float32Array(total * side * side);
    let at = 0;
    for (const { shape } of encoderInputs) {
      const [frames, rows, columns] = shape;
      for (let frame = 0; frame < frames; frame++)
        for (const { x, y } of patchOrder(rows, columns, mergeSize)) {
          for (const down of placesOf(y, rows, side))
            for (const right of placesOf(x, columns, side))
              (shares[at + down.place * side + right.place] as number) += down.share * right.share;
          at += side * side;
        }
    }
    return { [POSITION_SHARES]: toDType(shares, [total, side * side], dtype) };
  },
});
