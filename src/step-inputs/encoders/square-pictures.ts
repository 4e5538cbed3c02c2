import { type Tensor, toDType } from '../../dtype.js';
import { patchOrder } from '../../media/index.js';
import { int64 } from '../integers.js';
import type { StepInput } from '../step-input.js';
import { ENCODER_ROTARY } from './encoder-rotary.js';
import { MERGED_PATCHES } from './patches.js';

/** Rows of pictures of one size, before each of which stands one that is no patch. */
export const SQUARE = { rows: 'picture_rows', positions: 'picture_positions', kept: 'kept_rows' } as const;

/**
 * For pictures of `count` patches each, behind a row that stands for the whole: `picture_rows` i64 [rows], which patch each
 * row is, the number of all patches where it is none; `picture_positions` i64 [rows], places within the picture;
 * `kept_rows` i64 [tokens], the rows that become tokens, all or all but the first of each picture. `keepsFirst` absent: as
 * many as each thing says that there are.
 */
export const squarePictures = (count: number, keepsFirst?: boolean): StepInput => ({
  names: Object.values(SQUARE),
  describe({ rows }) {
    const pictures = Math.max(1, Math.floor(rows / count));
    const desc = (each: number) => ({ dtype: 'i64', shape: [pictures * each] }) as const;
    return {
      [SQUARE.rows]: desc(count + 1),
      [SQUARE.positions]: desc(count + 1),
      [SQUARE.kept]: desc((keepsFirst ?? true) ? count + 1 : count),
    };
  },
  make({ encoderInputs = [] }) {
    const each = count + 1;
    const keeps = encoderInputs.flatMap(({ shape: [frames], count: tokens }) =>
      Array<boolean>(frames).fill(keepsFirst ?? tokens === frames * each),
    );
    const pictures = keeps.length;
    const [rows, positions] = [new Int32Array(pictures * each), new Int32Array(pictures * each)];
    const kept: number[] = [];
    for (let at = 0; at < rows.length; at++) {
      const [picture, place] = [Math.floor(at / each), at % each];
      rows[at] = place === 0 ? pictures * count : picture * count + place - 1;
      positions[at] = place;
      if (place > 0 || keeps[picture]) kept.push(at);
    }
    return {
      [SQUARE.rows]: int64(rows),
      [SQUARE.positions]: int64(positions),
      [SQUARE.kept]: int64(Int32Array.from(kept)),
    };
  },
});

/** A rotary embedding of two axes over squares of `side` x `side` patches. */
export interface SquareRotary {
  readonly theta: number;
  readonly headDim: number;
  readonly side: number;
  /** Whether a row that is no patch comes before those of each picture; true when absent. */
  readonly hasFirst?: boolean;
}

/**
 * `cos_embedding` and `sin_embedding` [rows, headDim] in f32, of the rows that `squarePictures` orders: half a row is
 * [x frequencies, y frequencies], and both halves are equal; the row before a picture's patches does not turn, and where
 * there is one places are counted from 1 (transformers 5.24, `Llama4VisionRotaryEmbedding`).
 */
export function squareRotary({ theta, headDim, side, hasFirst = true }: SquareRotary): StepInput {
  const names = ENCODER_ROTARY;
  const first = hasFirst ? 1 : 0;
  const [perAxis, each] = [headDim / 4, side * side + first];
  const inverse = Float32Array.from({ length: perAxis }, (_, i) => 1 / Math.fround(theta ** (i / perAxis)));
  const angles = Float32Array.from({ length: each * headDim }, (_, at) => {
    const [place, i] = [Math.floor(at / headDim) - first, at % (headDim / 2)];
    const along = i < perAxis ? place % side : Math.floor(place / side);
    return place < 0 ? 0 : (along + first) * (inverse[i % perAxis] ?? 0);
  });
  return {
    names: Object.values(names),
    describe({ rows, dtype }) {
      const desc = { dtype, shape: [Math.max(1, Math.floor(rows / (side * side))) * each, headDim] };
      return { [names.cos]: desc, [names.sin]: desc };
    },
    make({ encoderInputs = [] }) {
      const shape = [encoderInputs.length * each, headDim];
      const table = (of: (angle: number) => number): Tensor => {
        const one = angles.map(of);
        return toDType(Float32Array.from(encoderInputs.flatMap(() => [...one])), shape, 'f32');
      };
      return { [names.cos]: table(Math.cos), [names.sin]: table(Math.sin) };
    },
  };
}

/**
 * `merged_patches` i64 [tokens, mergeSize * mergeSize] of pictures of `side` x `side` patches each, row by row, before which
 * `first` rows stand that are none: the rows of each block's patches, in the order in which they are put side by side.
 */
export const mergedSquares = (side: number, mergeSize: number, first = 1): StepInput => {
  const [count, area] = [side * side, mergeSize * mergeSize];
  const within = [...patchOrder(side, side, mergeSize)].map(({ x, y }) => first + y * side + x);
  return {
    names: [MERGED_PATCHES],
    describe: ({ rows }) => ({
      [MERGED_PATCHES]: {
        dtype: 'i64',
        shape: [Math.max(1, Math.floor(rows / count)) * (count / area), area],
      },
    }),
    make({ encoderInputs = [] }) {
      const wanted = encoderInputs.flatMap((_, picture) =>
        within.map((row) => picture * (count + first) + row),
      );
      return { [MERGED_PATCHES]: { ...int64(Int32Array.from(wanted)), shape: [wanted.length / area, area] } };
    },
  };
};
