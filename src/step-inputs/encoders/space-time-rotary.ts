import { toDType } from '../../dtype.js';
import { patchOrder } from '../../media/index.js';
import type { StepInput } from '../step-input.js';
import { ENCODER_ROTARY } from './patches.js';

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
  const names = ENCODER_ROTARY;
  const perAxis = spaceTimeTurned(headDim) / 6;
  const inverses = Float32Array.from(
    { length: perAxis },
    (_, i) => 1 / Math.fround(theta ** Math.fround(i / perAxis)),
  );
  return {
    names: Object.values(names),
    describe({ rows, dtype }) {
      const desc = { dtype, shape: [rows, headDim] };
      return { [names.cos]: desc, [names.sin]: desc };
    },
    make({ encoderInputs = [] }, { dtype }) {
      const places = encoderInputs.flatMap(({ shape: [times, rows, columns] }) => {
        const within = [...patchOrder(rows, columns, mergeSize)];
        return Array.from({ length: times }, (_, t) => within.map(({ x, y }) => [t, y, x])).flat();
      });
      const shape = [places.length, headDim];
      const [cos, sin] = [
        new Float32Array(places.length * headDim),
        new Float32Array(places.length * headDim),
      ];
      for (const [patch, place] of places.entries())
        for (let at = 0; at < headDim; at++) {
          const pair = at % (headDim / 2);
          const axis = place[Math.floor(pair / perAxis)] ?? 0;
          const angle = Math.fround(axis * (inverses[pair % perAxis] as number));
          cos[patch * headDim + at] = Math.cos(angle);
          sin[patch * headDim + at] = Math.sin(angle);
        }
      return { [names.cos]: toDType(cos, shape, dtype), [names.sin]: toDType(sin, shape, dtype) };
    },
  };
}
