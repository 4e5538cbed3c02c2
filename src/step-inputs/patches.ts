import { toDType } from '../dtype.js';
import { type EncoderInput, patchOrder } from '../media/index.js';
import { int64 } from './integers.js';
import type { StepInput } from './step-input.js';

/** What an encoder of pictures reads. */
export const PATCHES = 'pixel_patches';
/** Which patches become one token. */
export const MERGED_PATCHES = 'merged_patches';

/** `pixel_patches` [patches, features] in the model's dtype, picture by picture. */
export const patches = (features: number): StepInput => ({
  names: [PATCHES],
  describe: ({ rows, dtype }) => ({ [PATCHES]: { dtype, shape: [rows, features] } }),
  make({ encoderInputs = [] }, { dtype }) {
    const rows = encoderInputs.reduce((sum, input) => sum + input.rows, 0);
    const values = new Float32Array(rows * features);
    let at = 0;
    for (const { data } of encoderInputs) {
      values.set(data, at);
      at += data.length;
    }
    return { [PATCHES]: toDType(values, [rows, features], dtype) };
  },
});

/**
 * `merged_patches` i64 [tokens, area]: the patches of each token, in the order in which they are put side by side. Patches
 * come block by block, unless `orderOf` gives another place to each patch of a picture.
 */
export const mergedPatches = (
  area: number,
  orderOf: (input: EncoderInput) => Int32Array = ({ rows }) => Int32Array.from({ length: rows }, (_, i) => i),
): StepInput => ({
  names: [MERGED_PATCHES],
  describe: ({ rows }) => ({ [MERGED_PATCHES]: { dtype: 'i64', shape: [Math.ceil(rows / area), area] } }),
  make({ encoderInputs = [] }) {
    const places: number[] = [];
    let first = 0;
    for (const input of encoderInputs) {
      for (const place of orderOf(input)) places.push(first + place);
      first += input.rows;
    }
    return { [MERGED_PATCHES]: { ...int64(Int32Array.from(places)), shape: [places.length / area, area] } };
  },
});

/** A rotary embedding of two axes: the first half of the frequencies turns by y, the other by x. */
export interface AxialRotary {
  readonly theta: number;
  readonly headDim: number;
  /** Patches along a side of a block. */
  readonly mergeSize: number;
}

/**
 * `cos_embedding` and `sin_embedding` [patches, headDim] in the model's dtype, for patches that come block by block: half
 * a row is [y frequencies, x frequencies], and both halves are equal (transformers 5.24, `Qwen2VLVisionRotaryEmbedding`).
 */
export const axialRotary = ({ theta, headDim, mergeSize }: AxialRotary): StepInput => {
  const names = { cos: 'cos_embedding', sin: 'sin_embedding' };
  const perAxis = headDim / 4;
  const inverse = Float32Array.from(
    { length: perAxis },
    (_, i) => 1 / Math.fround(theta ** Math.fround((2 * i) / (2 * perAxis))),
  );
  return {
    names: Object.values(names),
    describe({ rows, dtype }) {
      const desc = { dtype, shape: [rows, headDim] };
      return { [names.cos]: desc, [names.sin]: desc };
    },
    make({ encoderInputs = [] }, { dtype }) {
      const total = encoderInputs.reduce((sum, { rows }) => sum + rows, 0);
      const [cos, sin] = [new Float32Array(total * headDim), new Float32Array(total * headDim)];
      let at = 0;
      for (const { shape } of encoderInputs) {
        const [frames, rows, columns] = shape;
        for (let frame = 0; frame < frames; frame++)
          for (const place of patchOrder(rows, columns, mergeSize))
            for (let half = 0; half < 2; half++)
              for (const position of [place.y, place.x])
                for (let i = 0; i < perAxis; i++, at++) {
                  const angle = Math.fround(position * (inverse[i] as number));
                  cos[at] = Math.cos(angle);
                  sin[at] = Math.sin(angle);
                }
      }
      const shape = [total, headDim];
      return { [names.cos]: toDType(cos, shape, dtype), [names.sin]: toDType(sin, shape, dtype) };
    },
  };
};
