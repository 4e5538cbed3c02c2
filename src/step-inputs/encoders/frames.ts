import { toDType } from '../../dtype.js';
import { int64 } from '../integers.js';
import type { StepInput } from '../step-input.js';
import type { RowShare } from './interpolated-positions.js';
import { MERGED_PATCHES } from './patches.js';

/** A vector for each frame of a thing, behind one of zeros; and which of them each patch gets. */
export const FRAME_TABLE = 'frame_table';
export const FRAME_ROWS = 'frame_rows';

/**
 * `frame_table` [1 + frames, hidden] in the model's dtype: zeros, then for frame t sin(t f) for each of hidden / 2
 * frequencies f from 1 down to nearly 1 / 10000, then cos(t f). `frame_rows` i64 [patches]: 0 of pictures, 1 + t of frame t
 * (transformers 5.24, `Kimi_K25VisionPositionEmbeddings`).
 */
export const frameTimes = (frames: number, hiddenSize: number): StepInput => ({
  names: [FRAME_TABLE, FRAME_ROWS],
  describe: ({ rows, dtype }) => ({
    [FRAME_TABLE]: { dtype, shape: [1 + frames, hiddenSize] },
    [FRAME_ROWS]: { dtype: 'i64', shape: [rows] },
  }),
  hold({ dtype }) {
    const half = hiddenSize / 2;
    const values = new Float32Array((1 + frames) * hiddenSize);
    for (let frame = 0; frame < frames; frame++)
      for (let i = 0; i < half; i++) {
        const frequency = 1 / Math.fround(10_000 ** Math.fround((2 * i) / hiddenSize));
        const angle = Math.fround(frame * Math.fround(frequency));
        values[(1 + frame) * hiddenSize + i] = Math.sin(angle);
        values[(1 + frame) * hiddenSize + half + i] = Math.cos(angle);
      }
    return { [FRAME_TABLE]: toDType(values, [1 + frames, hiddenSize], dtype) };
  },
  make({ encoderInputs = [] }) {
    const wanted = encoderInputs.flatMap(({ shape: [count, rows, columns] }) =>
      Array.from({ length: count * rows * columns }, (_, patch) =>
        count > 1 ? 1 + Math.floor(patch / (rows * columns)) : 0,
      ),
    );
    return { [FRAME_ROWS]: int64(Int32Array.from(wanted)) };
  },
});

/** The patches of each frame at one place, and how much each counts. */
export const FRAME_SHARES = (frames: number): readonly RowShare[] =>
  Array.from({ length: frames }, (_, frame) => ({
    rows: `frame_place_${frame}`,
    weights: `frame_weight_${frame}`,
  }));

/**
 * For means over the frames of each thing, up to `frames` of them, whose patches come frame by frame: of each frame its patch
 * at each place, i64 [places], and its weight [places, 1] in the model's dtype, 0 of frames that a thing lacks. And
 * `merged_patches` i64 [tokens, area]: the places of each token, which follow one another.
 */
export const frameMeans = (frames: number, area: number): StepInput => ({
  names: [...FRAME_SHARES(frames).flatMap(({ rows, weights }) => [rows, weights]), MERGED_PATCHES],
  describe: ({ rows: places, dtype }) => ({
    ...Object.fromEntries(
      FRAME_SHARES(frames).flatMap(({ rows, weights }) => [
        [rows, { dtype: 'i64', shape: [places] } as const],
        [weights, { dtype, shape: [places, 1] }],
      ]),
    ),
    [MERGED_PATCHES]: { dtype: 'i64', shape: [Math.ceil(places / area), area] },
  }),
  make({ encoderInputs = [] }, { dtype }) {
    const total = encoderInputs.reduce((sum, { shape: [, rows, columns] }) => sum + rows * columns, 0);
    const made = FRAME_SHARES(frames).map((names) => ({
      names,
      places: new Int32Array(total),
      weights: new Float32Array(total),
    }));
    let [at, first] = [0, 0];
    for (const { shape } of encoderInputs) {
      const [count, rows, columns] = shape;
      for (let place = 0; place < rows * columns; place++, at++)
        for (const [frame, { places, weights }] of made.entries()) {
          places[at] = first + Math.min(frame, count - 1) * rows * columns + place;
          weights[at] = frame < count ? 1 / count : 0;
        }
      first += count * rows * columns;
    }
    const places = Int32Array.from({ length: total }, (_, place) => place);
    return {
      ...Object.fromEntries(
        made.flatMap(({ names, places, weights }) => [
          [names.rows, int64(places)],
          [names.weights, toDType(weights, [total, 1], dtype)],
        ]),
      ),
      [MERGED_PATCHES]: { ...int64(places), shape: [total / area, area] },
    };
  },
});
