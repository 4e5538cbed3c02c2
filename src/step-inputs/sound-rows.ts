import type { EncoderInput } from '../media/index.js';
import { int64 } from './integers.js';
import { MERGED_PATCHES } from './patches.js';
import type { RopeConfig } from './rotary/rope-config.js';
import { ropeTable } from './rotary/rope-table.js';
import type { StepInput } from './step-input.js';

const rowsOf = (inputs: readonly EncoderInput[]): number => inputs.reduce((sum, { rows }) => sum + rows, 0);

/** `merged_patches` i64 [tokens, size]: the rows of each token of a sound; rows behind its last token become none. */
export const groupedRows = (size: number): StepInput => ({
  names: [MERGED_PATCHES],
  describe: ({ rows }) => ({ [MERGED_PATCHES]: { dtype: 'i64', shape: [Math.ceil(rows / size), size] } }),
  make({ encoderInputs = [] }) {
    const wanted: number[] = [];
    let first = 0;
    for (const { rows, count } of encoderInputs) {
      for (let row = 0; row < count * size; row++) wanted.push(first + row);
      first += rows;
    }
    return { [MERGED_PATCHES]: { ...int64(Int32Array.from(wanted)), shape: [wanted.length / size, size] } };
  },
});

/** `cos_embedding` and `sin_embedding` [rows, headDim] in the model's dtype: rows turn by their places. */
export const soundRotary = (rope: RopeConfig): StepInput => {
  const names = { cos: 'cos_embedding', sin: 'sin_embedding' };
  return {
    names: Object.values(names),
    describe({ rows, dtype }) {
      const desc = { dtype, shape: [rows, rope.headDim] };
      return { [names.cos]: desc, [names.sin]: desc };
    },
    make({ encoderInputs = [] }, { dtype }) {
      const places = new Int32Array(rowsOf(encoderInputs));
      let at = 0;
      for (const { rows } of encoderInputs) for (let row = 0; row < rows; row++) places[at++] = row;
      const { cos, sin } = ropeTable(rope, places, dtype);
      return { [names.cos]: cos, [names.sin]: sin };
    },
  };
};
