import { patchOrder } from '../../media/index.js';
import type { StepInput } from '../step-input.js';
import { encoderRotary } from './encoder-rotary.js';

/** A rotary embedding of three axes, each of which turns a third of a head, rounded down to pairs. */
export interface SpaceTimeRotary {
  readonly theta: number;
  readonly headDim: number;
  /** Patches along a side of a block. */
  readonly mergeSize: number;
}

/** How many elements of a head turn; those behind them stay. */
export const spaceTimeTurned = (headDim: number): number => 6 * Math.floor(Math.floor(headDim / 3) / 2);

/**
 * `cos_embedding` and `sin_embedding` [patches, headDim] in the model's dtype: half a row is [frequencies of time, of y,
 * of x, angles of 0], and both halves are equal (transformers 5.24, `MiniMaxM3VLVisionRotaryEmbedding`).
 */
export function spaceTimeRotary({ theta, headDim, mergeSize }: SpaceTimeRotary): StepInput {
  const perAxis = spaceTimeTurned(headDim) / 6;
  const inverses = Float32Array.from(
    { length: perAxis },
    (_, i) => 1 / Math.fround(theta ** Math.fround(i / perAxis)),
  );
  return encoderRotary(headDim, (inputs) => {
    const places = inputs.flatMap(({ shape: [times, rows, columns] }) => {
      const within = [...patchOrder(rows, columns, mergeSize)];
      return Array.from({ length: times }, (_, t) => within.map(({ x, y }) => [t, y, x])).flat();
    });
    const half = headDim / 2;
    const angles = new Float32Array(places.length * half);
    for (const [patch, place] of places.entries())
      for (let pair = 0; pair < half; pair++) {
        const axis = place[Math.floor(pair / perAxis)] ?? 0;
        angles[patch * half + pair] = axis * (inverses[pair % perAxis] as number);
      }
    return angles;
  });
}
