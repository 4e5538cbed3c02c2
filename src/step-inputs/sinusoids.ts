import { toDType } from '../dtype.js';
import type { StepInput } from './step-input.js';

/** A table with a vector for each position. */
export const SINUSOIDS = 'position_table';

/** Of a table of sinusoids. */
export interface SinusoidTable {
  readonly hiddenSize: number;
  /** Which row position 0 has in the formula's table. */
  readonly firstRow: number;
  /** A row of that table which holds zeros; none when absent. */
  readonly zeroRow?: number | undefined;
  /** Frequencies from 1 to 1 / 10000; hidden / 2 - 1 when absent, so that the last one is that. */
  readonly steps?: number | undefined;
}

/**
 * `position_table` [positions, hidden] in the model's dtype: in row p - firstRow sin(p f) for each of hidden / 2 frequencies f
 * from 1 down to 1 / 10000, then cos(p f); as tensor2tensor has it (transformers 5.24, `XGLMSinusoidalPositionalEmbedding`).
 * With `steps` of hidden / 2 the next frequency would be 1 / 10000, as in CTRL (`positional_encoding`).
 */
export const sinusoids = (table: SinusoidTable): StepInput => ({
  names: [SINUSOIDS],
  describe: ({ dtype, maxPositionEmbeddings }) => ({
    [SINUSOIDS]: { dtype, shape: [maxPositionEmbeddings, table.hiddenSize] },
  }),
  recipes: () => ({ [SINUSOIDS]: { made: 'sinusoids', ...table } }),
  hold: ({ maxPositionEmbeddings: positions, dtype }) => ({
    [SINUSOIDS]: toDType(rowsOf(positions, table), [positions, table.hiddenSize], dtype),
  }),
});

/** A table with a vector for each place that an encoder counts. */
export const ENCODER_SINUSOIDS = 'encoder_position_table';

/** `encoder_position_table` [rows, hidden] in the model's dtype: so many rows of that table, from 0 on. */
export const encoderSinusoids = (rows: number, hiddenSize: number): StepInput => ({
  names: [ENCODER_SINUSOIDS],
  describe: ({ dtype }) => ({ [ENCODER_SINUSOIDS]: { dtype, shape: [rows, hiddenSize] } }),
  hold: ({ dtype }) => ({
    [ENCODER_SINUSOIDS]: toDType(rowsOf(rows, { hiddenSize, firstRow: 0 }), [rows, hiddenSize], dtype),
  }),
});

/** [positions, hidden] */
function rowsOf(positions: number, { hiddenSize, firstRow, zeroRow, steps }: SinusoidTable): Float32Array {
  const half = hiddenSize / 2;
  const step = Math.fround(-Math.log(10_000) / (steps ?? half - 1));
  const values = new Float32Array(positions * hiddenSize);
  for (let position = 0; position < positions; position++) {
    const row = position + firstRow;
    for (let i = 0; i < half && row !== zeroRow; i++) {
      const angle = Math.fround(row * Math.fround(Math.exp(Math.fround(i * step))));
      values[position * hiddenSize + i] = Math.sin(angle);
      values[position * hiddenSize + half + i] = Math.cos(angle);
    }
  }
  return values;
}
