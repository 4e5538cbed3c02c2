import { toDType } from '../../dtype.js';
import { int64 } from '../integers.js';
import type { StepInput } from '../step-input.js';
import { type PlaneSize, wholePlanesOf } from './mel-planes.js';

/** What means over all times of a sound so far read: of the results of each of two convolutions. */
export const TIME_GROUPS = (['first', 'second'] as const).map((of) => ({
  rows: `${of}_time_rows`,
  steps: `${of}_time_steps`,
  places: `${of}_time_places`,
  shares: `${of}_time_shares`,
}));
export type TimeGroup = (typeof TIME_GROUPS)[number];

/**
 * Of each of two convolutions over whole sounds, T times in all, the longest of which has L: `_time_rows` i64 [T, bins], which
 * results belong to each time. `_time_steps` i64 [L, sounds]: the times of each sound, side by side, so that sums along the first
 * axis are each sound's own; where there is none, a row behind all. `_time_places` i64 [T]: where each time stands among these.
 * `_time_shares` [T, 1] in the model's dtype: one by the number of times so far.
 */
export function timeGroups(bins: number): StepInput {
  const sizesOf = (frames: number): readonly PlaneSize[] => wholePlanesOf(frames, bins).slice(1);
  const widths = sizesOf(1).map(({ wide }) => wide);
  return {
    names: TIME_GROUPS.flatMap((group) => Object.values(group)),
    describe({ rows, batch, dtype }) {
      const tokens = Math.ceil(rows / (widths[1] ?? 1));
      return Object.fromEntries(
        TIME_GROUPS.flatMap(({ rows: ofTimes, steps, places, shares }, index) => {
          const times = index === 0 ? 2 * tokens : tokens;
          return [
            [ofTimes, { dtype: 'i64', shape: [times, widths[index] ?? 1] } as const],
            [steps, { dtype: 'i64', shape: [times, batch] } as const],
            [places, { dtype: 'i64', shape: [times] } as const],
            [shares, { dtype, shape: [times, 1] }],
          ];
        }),
      );
    },
    make({ encoderInputs = [] }, { dtype }) {
      const sizes = encoderInputs.map(({ data }) => sizesOf(data.length / bins));
      return Object.fromEntries(
        TIME_GROUPS.flatMap(({ rows, steps, places, shares }, index) => {
          const lens = sizes.map((planes) => planes[index]?.high ?? 0);
          const total = lens.reduce((sum, length) => sum + length, 0);
          const [longest, width] = [Math.max(...lens), widths[index] ?? 1];
          const grid = new Int32Array(longest * lens.length).fill(total);
          const [found, counts] = [new Int32Array(total), new Float32Array(total)];
          let time = 0;
          for (const [sound, length] of lens.entries())
            for (let step = 0; step < length; step++, time++) {
              const place = step * lens.length + sound;
              grid[place] = time;
              found[time] = place;
              counts[time] = 1 / (step + 1);
            }
          const results = Int32Array.from({ length: total * width }, (_, result) => result);
          return [
            [rows, { ...int64(results), shape: [total, width] }],
            [steps, { ...int64(grid), shape: [longest, lens.length] }],
            [places, int64(found)],
            [shares, toDType(counts, [total, 1], dtype)],
          ];
        }),
      );
    },
  };
}
