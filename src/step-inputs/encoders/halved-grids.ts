import { int64 } from '../integers.js';
import type { StepInput } from '../step-input.js';

/** Rows along each side that a result of such a convolution sees. */
const KERNEL = 3;

/** The rows that each result of the first convolution sees, of the second, and so on, from 0. */
export const halvedGridOf = (level: number): string => `halved_grid_${level}`;

/** Results along a side of so many rows, every second one with a row before and behind it. */
const half = (side: number): number => Math.ceil(side / 2);

/**
 * For convolutions of 3 x 3 one behind the other, each with half as many results along a side of a picture of any size,
 * beyond whose edges there are zeros: `halved_grid_<level>` i64 [results, 9], the rows that each sees, line by line; of
 * those beyond an edge the number of all rows.
 */
export const halvedGrids = (levels: number): StepInput => ({
  names: Array.from({ length: levels }, (_, level) => halvedGridOf(level)),
  describe: ({ rows }) =>
    Object.fromEntries(
      Array.from({ length: levels }, (_, level) => [
        halvedGridOf(level),
        { dtype: 'i64', shape: [Math.ceil(rows / 4 ** (level + 1)), KERNEL ** 2] } as const,
      ]),
    ),
  make({ encoderInputs = [] }) {
    let grids = encoderInputs.map(({ shape: [, rows, columns] }) => ({ rows, columns }));
    return Object.fromEntries(
      Array.from({ length: levels }, (_, level) => {
        const total = grids.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
        const seen: number[] = [];
        let first = 0;
        for (const { rows, columns } of grids) {
          for (let at = 0; at < half(rows) * half(columns) * KERNEL ** 2; at++) {
            const [result, tap] = [Math.floor(at / KERNEL ** 2), at % KERNEL ** 2];
            const y = 2 * Math.floor(result / half(columns)) + Math.floor(tap / KERNEL) - 1;
            const x = 2 * (result % half(columns)) + (tap % KERNEL) - 1;
            const isBeyond = y < 0 || y >= rows || x < 0 || x >= columns;
            seen.push(isBeyond ? total : first + y * columns + x);
          }
          first += rows * columns;
        }
        grids = grids.map(({ rows, columns }) => ({ rows: half(rows), columns: half(columns) }));
        const shape = [seen.length / KERNEL ** 2, KERNEL ** 2];
        return [halvedGridOf(level), { ...int64(Int32Array.from(seen)), shape }];
      }),
    );
  },
});
