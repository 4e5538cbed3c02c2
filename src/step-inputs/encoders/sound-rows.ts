import { int64 } from '../integers.js';
import type { RopeConfig } from '../rotary/rope-config.js';
import { ropeTable } from '../rotary/rope-table.js';
import type { StepInput } from '../step-input.js';
import { ENCODER_ROTARY } from './encoder-rotary.js';
import { asTheyCome, MERGED_PATCHES } from './patches.js';

/**
 * `merged_patches` i64 [tokens, size]: the rows of each token of a sound; rows behind its last token become none. `rowToken`:
 * the id of those tokens, where words stand among them.
 */
export const groupedRows = (size: number, rowToken?: number): StepInput => ({
  names: [MERGED_PATCHES],
  describe: ({ rows }) => ({ [MERGED_PATCHES]: { dtype: 'i64', shape: [Math.ceil(rows / size), size] } }),
  make({ encoderInputs = [] }) {
    const wanted: number[] = [];
    let first = 0;
    for (const { rows, count, tokens } of encoderInputs) {
      const own = rowToken === undefined ? count : (tokens ?? []).filter((id) => id === rowToken).length;
      for (let row = 0; row < own * size; row++) wanted.push(first + row);
      first += rows;
    }
    return { [MERGED_PATCHES]: { ...int64(Int32Array.from(wanted)), shape: [wanted.length / size, size] } };
  },
});

/** Places of rows within their sound. */
export const SOUND_PLACES = 'sound_places';

/** `sound_places` i64 [rows]: places within the sound, from `first` on. */
export const soundPlaces = (first: number): StepInput => ({
  names: [SOUND_PLACES],
  describe: ({ rows }) => ({ [SOUND_PLACES]: { dtype: 'i64', shape: [rows] } }),
  make: ({ encoderInputs = [] }) => ({
    [SOUND_PLACES]: int64(
      Int32Array.from(
        encoderInputs.flatMap(({ rows }) => Array.from({ length: rows }, (_, row) => first + row)),
      ),
    ),
  }),
});

/** `cos_embedding` and `sin_embedding` [rows, headDim] in the model's dtype: rows turn by their places. */
export const soundRotary = (rope: RopeConfig): StepInput => {
  const names = ENCODER_ROTARY;
  return {
    names: Object.values(names),
    describe({ rows, dtype }) {
      const desc = { dtype, shape: [rows, rope.headDim] };
      return { [names.cos]: desc, [names.sin]: desc };
    },
    make({ encoderInputs = [] }, { dtype }) {
      const places = Int32Array.from(encoderInputs.flatMap((input) => [...asTheyCome(input)]));
      const { cos, sin } = ropeTable(rope, places, dtype);
      return { [names.cos]: cos, [names.sin]: sin };
    },
  };
};
