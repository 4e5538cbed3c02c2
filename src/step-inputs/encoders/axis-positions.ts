import { patchOrder } from '../../media/index.js';
import { int64 } from '../integers.js';
import type { StepInput } from '../step-input.js';

/** Which rows of a table of learned positions each patch takes. */
export const AXIS_POSITIONS = { columns: 'column_positions', rows: 'row_positions' } as const;

/**
 * `column_positions` and `row_positions` i64 [patches], of a table that has `size` rows for columns and behind them as
 * many for rows, or `takesTurns`: one for a column, then one for a row; patches come in blocks of `mergeSize` along a side.
 */
export const axisPositions = (size: number, mergeSize: number, takesTurns = false): StepInput => ({
  names: Object.values(AXIS_POSITIONS),
  describe: ({ rows }) => {
    const each = { dtype: 'i64', shape: [rows] } as const;
    return { [AXIS_POSITIONS.columns]: each, [AXIS_POSITIONS.rows]: each };
  },
  make({ encoderInputs = [] }) {
    const places = encoderInputs.flatMap(({ shape: [, rows, columns] }) => [
      ...patchOrder(rows, columns, mergeSize),
    ]);
    return {
      [AXIS_POSITIONS.columns]: int64(Int32Array.from(places, ({ x }) => (takesTurns ? 2 * x : x))),
      [AXIS_POSITIONS.rows]: int64(Int32Array.from(places, ({ y }) => (takesTurns ? 2 * y + 1 : size + y))),
    };
  },
});
