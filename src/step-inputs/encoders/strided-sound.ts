import { toDType } from '../../dtype.js';
import type { EncoderInput } from '../../media/index.js';
import { int64 } from '../integers.js';
import type { StepInput } from '../step-input.js';

/** What convolutions over samples of a sound read, and others over what comes of these. */
export const STRIDED_SOUND = {
  samples: 'sample_windows',
  rows: (level: number): string => `strided_rows_${level}`,
} as const;

/** Of each convolution how many places it sees at once, and how many it moves on. */
export interface SoundStrides {
  readonly kernels: readonly number[];
  readonly strides: readonly number[];
}

/** Results of each convolution of so many samples; they see nothing beyond the ends. */
export function stridedLengths(samples: number, { kernels, strides }: SoundStrides): number[] {
  let length = samples;
  return kernels.map((kernel, level) => {
    length = Math.max(0, Math.floor((length - kernel) / (strides[level] as number)) + 1);
    return length;
  });
}

/**
 * `sample_windows` [results, kernel] in the model's dtype: the samples that the first convolution sees at once.
 * `strided_rows_<level>` i64 [results, kernel], of each further one: which results of the one before it sees. What is
 * encoded holds samples; its `rows` are `unit` times as many as results of the last convolution.
 */
export const stridedSound = (by: SoundStrides, unit: number): StepInput => {
  const { kernels, strides } = by;
  const names = kernels.map((_, level) => (level === 0 ? STRIDED_SOUND.samples : STRIDED_SOUND.rows(level)));
  const [width = 1, ...others] = kernels;
  return {
    names,
    describe({ rows, dtype }) {
      const results = (level: number): number =>
        strides.slice(level + 1).reduce((count, stride) => count * stride, Math.ceil(rows / unit));
      return {
        [STRIDED_SOUND.samples]: { dtype, shape: [results(0), width] },
        ...Object.fromEntries(
          others.map((kernel, at) => [
            STRIDED_SOUND.rows(at + 1),
            { dtype: 'i64', shape: [results(at + 1), kernel] } as const,
          ]),
        ),
      };
    },
    make({ encoderInputs = [] }, { dtype }) {
      const lengths = encoderInputs.map(({ data }) => stridedLengths(data.length, by));
      const rowsOf = (level: number) => lengths.map((all) => all[level] ?? 0);
      return {
        [STRIDED_SOUND.samples]: windowsOf(encoderInputs, rowsOf(0), width, strides[0] ?? 1, dtype),
        ...Object.fromEntries(
          others.map((kernel, at) => {
            const seen = placesOf(rowsOf(at), rowsOf(at + 1), kernel, strides[at + 1] ?? 1);
            return [STRIDED_SOUND.rows(at + 1), { ...int64(seen), shape: [seen.length / kernel, kernel] }];
          }),
        ),
      };
    },
  };
};

/** Samples side by side that the first convolution sees: [results, width]. */
function windowsOf(
  inputs: readonly EncoderInput[],
  counts: readonly number[],
  width: number,
  stride: number,
  dtype: Parameters<typeof toDType>[2],
) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const values = new Float32Array(total * width);
  let at = 0;
  for (const [index, { data }] of inputs.entries())
    for (let row = 0; row < (counts[index] ?? 0); row++, at += width)
      values.set(data.subarray(row * stride, row * stride + width), at);
  return toDType(values, [total, width], dtype);
}

/** Which of `before` results of each sound, packed, each of its `counts` results sees: [results * kernel]. */
function placesOf(
  before: readonly number[],
  counts: readonly number[],
  kernel: number,
  stride: number,
): Int32Array {
  const places: number[] = [];
  let first = 0;
  for (const [index, count] of counts.entries()) {
    for (let row = 0; row < count; row++)
      for (let k = 0; k < kernel; k++) places.push(first + row * stride + k);
    first += before[index] ?? 0;
  }
  return Int32Array.from(places);
}

/** Rows about each row of a sound. */
export const ROWS_ABOUT = 'rows_about';

/**
 * `rows_about` i64 [rows, taps]: rows about each row of a sound, of `count` rows, `before` of them before it; where there is
 * none, a row behind all. `unit`: see `stridedSound`.
 */
export const rowsAbout = (taps: number, before: number, unit: number): StepInput => ({
  names: [ROWS_ABOUT],
  describe: ({ rows }) => ({ [ROWS_ABOUT]: { dtype: 'i64', shape: [Math.ceil(rows / unit), taps] } }),
  make({ encoderInputs = [] }) {
    const total = encoderInputs.reduce((sum, { count }) => sum + count, 0);
    const places = new Int32Array(total * taps);
    let [first, at] = [0, 0];
    for (const { count } of encoderInputs) {
      for (let row = 0; row < count; row++)
        for (let tap = 0; tap < taps; tap++) {
          const seen = row + tap - before;
          places[at++] = seen >= 0 && seen < count ? first + seen : total;
        }
      first += count;
    }
    return { [ROWS_ABOUT]: { ...int64(places), shape: [total, taps] } };
  },
});
