import { toDType } from '../dtype.js';
import { cubicPlaces, type PlaceShare, patchOrder } from '../media/index.js';
import type { StepInput } from './step-input.js';

/** How much each place of a square table counts for each patch. */
export const POSITION_SHARES = 'position_shares';

/** Of one axis: which of `side` places count for place `at` of `count`, pixel centres lying on pixel centres. */
type Filter = (at: number, count: number, side: number) => readonly PlaceShare[];

/** All places that are nearer than one, or than one of `count` where these are fewer (torch's `antialias`). */
const linear: Filter = (at, count, side) => {
  const scale = side / count;
  const reach = Math.max(scale, 1);
  const point = (at + 0.5) * scale - 0.5;
  const near = Array.from({ length: side }, (_, place) => ({
    place,
    share: Math.max(0, 1 - Math.abs(place - point) / reach),
  })).filter(({ share }) => share > 0);
  const sum = near.reduce((all, { share }) => all + share, 0);
  return near.map(({ place, share }) => ({ place, share: share / sum }));
};

const FILTERS = { cubic: cubicPlaces, linear };

/**
 * `position_shares` [patches, side * side] in the model's dtype: learned positions of a square of `side` x `side`, stretched
 * over a picture of any size, as sums of its rows (transformers 5.24, `Glm4vVisionEmbeddings`; linear:
 * `Siglip2VisionEmbeddings`). A product with the table makes the positions.
 */
export const sampledPositions = (
  side: number,
  mergeSize: number,
  filter: keyof typeof FILTERS = 'cubic',
): StepInput => ({
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
          for (const down of FILTERS[filter](y, rows, side))
            for (const right of FILTERS[filter](x, columns, side))
              (shares[at + down.place * side + right.place] as number) += down.share * right.share;
          at += side * side;
        }
    }
    return { [POSITION_SHARES]: toDType(shares, [total, side * side], dtype) };
  },
});
