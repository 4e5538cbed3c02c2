import { toDType } from '../../dtype.js';
import { type EncoderInput, patchOrder } from '../../media/index.js';
import { int32, int64 } from '../integers.js';
import type { StepInput } from '../step-input.js';
import { encoderRotary } from './encoder-rotary.js';

/** What an encoder of pictures reads. */
export const PATCHES = 'pixel_patches';
/** Which patches become one token. */
export const MERGED_PATCHES = 'merged_patches';
/** How many patches each window has. */
export const WINDOW_LENS = 'window_len';

/** Which patch of a picture stands at each place, among those that come block by block. [patches] */
export type PatchPlaces = (input: EncoderInput) => Int32Array;

export const asTheyCome: PatchPlaces = ({ rows }) => Int32Array.from({ length: rows }, (_, place) => place);

const rowsOf = (inputs: readonly EncoderInput[]): number => inputs.reduce((sum, { rows }) => sum + rows, 0);

/** Frames of sound that an encoder reads as they are. */
export const SOUND_FRAMES = 'sound_frames';

/** `pixel_patches`, or another name, [patches, features] in the model's dtype, picture by picture. */
export const patches = (
  features: number,
  places: PatchPlaces = asTheyCome,
  name: typeof PATCHES | typeof SOUND_FRAMES = PATCHES,
): StepInput => ({
  names: [name],
  describe: ({ rows, dtype }) => ({ [name]: { dtype, shape: [rows, features] } }),
  make({ encoderInputs = [] }, { dtype }) {
    const values = new Float32Array(rowsOf(encoderInputs) * features);
    let at = 0;
    for (const input of encoderInputs)
      for (const patch of places(input)) {
        values.set(input.data.subarray(patch * features, (patch + 1) * features), at);
        at += features;
      }
    return { [name]: toDType(values, [values.length / features, features], dtype) };
  },
});

/** `merged_patches` i64 [tokens, area]: the places of each token's patches, in the order in which they are put side by side. */
export const mergedPatches = (area: number, places: PatchPlaces = asTheyCome): StepInput => ({
  names: [MERGED_PATCHES],
  describe: ({ rows }) => ({ [MERGED_PATCHES]: { dtype: 'i64', shape: [Math.ceil(rows / area), area] } }),
  make({ encoderInputs = [] }) {
    const wanted = new Int32Array(rowsOf(encoderInputs));
    let first = 0;
    for (const input of encoderInputs) {
      for (const [place, patch] of places(input).entries()) wanted[first + patch] = first + place;
      first += input.rows;
    }
    return { [MERGED_PATCHES]: { ...int64(wanted), shape: [wanted.length / area, area] } };
  },
});

/** Which rows become one, of those that blocks of patches became. */
export const MERGED_BLOCKS = 'merged_blocks';

/**
 * Of patches that come block by block of 2 x 2, each of which became a row: `merged_blocks` i64 [tokens, 4], the rows of each
 * 2 x 2 blocks.
 */
export const mergedBlocks: StepInput = {
  names: [MERGED_BLOCKS],
  describe: ({ rows }) => ({ [MERGED_BLOCKS]: { dtype: 'i64', shape: [Math.ceil(rows / 16), 4] } }),
  make({ encoderInputs = [] }) {
    const wanted: number[] = [];
    let first = 0;
    for (const { shape, rows: patches } of encoderInputs) {
      const [, rows, columns] = shape;
      for (const { x, y } of patchOrder(rows / 2, columns / 2, 2)) wanted.push(first + (y * columns) / 2 + x);
      first += patches / 4;
    }
    return { [MERGED_BLOCKS]: { ...int64(Int32Array.from(wanted)), shape: [wanted.length / 4, 4] } };
  },
};

/** `window_len` i32 [windows], or another name: patches of each window, in their order. */
export const windowLens = (lensOf: (input: EncoderInput) => Int32Array, name = WINDOW_LENS): StepInput => ({
  names: [name],
  describe: ({ batch }) => ({ [name]: { dtype: 'i32', shape: [batch] } }),
  make: ({ encoderInputs = [] }) => ({
    [name]: int32(Int32Array.from(encoderInputs.flatMap((input) => [...lensOf(input)]))),
  }),
});

/** A rotary embedding of two axes: the first half of the frequencies turns by y, the other by x. */
export interface AxialRotary {
  readonly theta: number;
  readonly headDim: number;
  /** Patches along a side of a block. */
  readonly mergeSize: number;
  /** Whether axes take turns, frequency by frequency, x before y; false when absent: all of y come before those of x. */
  readonly takesTurns?: boolean;
  /** How far the frequencies of x lie between those of y, in steps from one to the next; 0 when absent: they are the same. */
  readonly xShift?: number;
  /** Whether all of x come before those of y; false when absent. */
  readonly xFirst?: boolean;
}

/**
 * `cos_embedding` and `sin_embedding` [patches, headDim] in the model's dtype: half a row is [y frequencies,
 * x frequencies], and both halves are equal (transformers 5.24, `Qwen2VLVisionRotaryEmbedding`).
 */
export function axialRotary(
  { theta, headDim, mergeSize, xShift = 0, takesTurns = false, xFirst = false }: AxialRotary,
  places: PatchPlaces = asTheyCome,
): StepInput {
  const perAxis = headDim / 4;
  const inverseOf = (shift: number) =>
    Float32Array.from(
      { length: perAxis },
      (_, i) => 1 / Math.fround(theta ** Math.fround((i + shift) / perAxis)),
    );
  const inverses = [inverseOf(0), inverseOf(xShift)] as const;
  return encoderRotary(headDim, (inputs) => {
    const angles = new Float32Array((rowsOf(inputs) * headDim) / 2);
    let at = 0;
    for (const input of inputs) {
      const [, rows, columns] = input.shape;
      const within = [...patchOrder(rows, columns, mergeSize)];
      for (const patch of places(input)) {
        const { x, y } = within[patch % within.length] as { x: number; y: number };
        for (let pair = 0; pair < 2 * perAxis; pair++, at++) {
          const isX = takesTurns ? pair % 2 === 0 : pair >= perAxis !== xFirst;
          const i = takesTurns ? pair >> 1 : pair % perAxis;
          angles[at] = (isX ? x : y) * (inverses[isX ? 1 : 0][i] as number);
        }
      }
    }
    return angles;
  });
}
