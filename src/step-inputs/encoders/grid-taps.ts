import { patchOrder } from '../../media/index.js';
import { int64 } from '../integers.js';
import type { StepInput } from '../step-input.js';

/** Which patches a convolution over frames sees. */
export const GRID_TAPS = 'grid_taps';

/**
 * For a convolution of `kernel` x `kernel` over the patches of each frame, which come block by block of `mergeSize` a side:
 * `grid_taps` i64 [patches, kernel * kernel], the patches around each, line by line; beyond a frame's edges the number of
 * all patches.
 */
export function gridTaps(kernel: number, mergeSize: number): StepInput {
  const [before, area] = [Math.floor(kernel / 2), kernel * kernel];
  return {
    names: [GRID_TAPS],
    describe: ({ rows }) => ({ [GRID_TAPS]: { dtype: 'i64', shape: [rows, area] } }),
    make({ encoderInputs = [] }) {
      const total = encoderInputs.reduce((sum, { rows }) => sum + rows, 0);
      const taps = new Int32Array(total * area).fill(total);
      let first = 0;
      for (const { shape, rows: count } of encoderInputs) {
        const [, rows, columns] = shape;
        const order = [...patchOrder(rows, columns, mergeSize)];
        const patchAt = new Int32Array(order.length);
        for (const [patch, { x, y }] of order.entries()) patchAt[y * columns + x] = patch;
        for (let at = 0; at < count * area; at++) {
          const [patch, tap] = [Math.floor(at / area), at % area];
          const within = patch % order.length;
          const x = (order[within]?.x ?? 0) + (tap % kernel) - before;
          const y = (order[within]?.y ?? 0) + Math.floor(tap / kernel) - before;
          if (x < 0 || x >= columns || y < 0 || y >= rows) continue;
          taps[first * area + at] = first + patch - within + (patchAt[y * columns + x] ?? 0);
        }
        first += count;
      }
      return { [GRID_TAPS]: { ...int64(taps), shape: [total, area] } };
    },
  };
}
