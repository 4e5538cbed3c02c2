import { toDType } from '../../dtype.js';
import type { StepInput } from '../step-input.js';

/** A row for each token of a square picture that says where in it the token is. */
export const TILE_PLACES = 'tile_places';

/**
 * `tile_places` [tokens, width] in the model's dtype, for squares of `side` x `side` tokens, each of `area` patches:
 * a quarter of a row has the sines of a token's column, one the cosines, and two the same of its row
 * (arXiv:2111.06377, appendix A.1).
 */
export function tilePlaces(side: number, width: number, area: number): StepInput {
  const count = width / 4;
  const one = Float32Array.from({ length: side * side * width }, (_, at) => {
    const [place, i] = [Math.floor(at / width), at % width];
    const along = i < width / 2 ? place % side : Math.floor(place / side);
    const angle = along / 10_000 ** ((i % count) / count);
    return Math.floor(i / count) % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
  });
  return {
    names: [TILE_PLACES],
    describe({ rows, dtype }) {
      const squares = Math.max(1, Math.floor(rows / (side * side * area)));
      return { [TILE_PLACES]: { dtype, shape: [squares * side * side, width] } };
    },
    make({ encoderInputs = [] }, { dtype }) {
      const all = new Float32Array(encoderInputs.length * one.length);
      for (const square of encoderInputs.keys()) all.set(one, square * one.length);
      return { [TILE_PLACES]: toDType(all, [all.length / width, width], dtype) };
    },
  };
}
