import { toDType } from '../dtype.js';
import { int64 } from './integers.js';
import type { StepInput } from './step-input.js';

/** Embeddings that encoders made, and of each token of a step which row of words and these it gets. */
export const INSERTED_ROWS = 'inserted_rows';
export const EMBEDDING_ROWS = 'embedding_rows';

/**
 * `inserted_rows` [rows, hidden] in the model's dtype: a row for each token of the step that is no word, or one of zeros
 * where there is none. `embedding_rows` i64 [tokens]: i for a word at i; for the others, behind all tokens, the place
 * among the inserted rows.
 */
export const insertedRows = (hiddenSize: number): StepInput => ({
  names: [INSERTED_ROWS, EMBEDDING_ROWS],
  describe: ({ rows, dtype }) => ({
    [INSERTED_ROWS]: { dtype, shape: [rows, hiddenSize] },
    [EMBEDDING_ROWS]: { dtype: 'i64', shape: [rows] },
  }),
  make({ tokenIds: { length: tokens }, inserted = [] }, { dtype }) {
    const count = inserted.reduce((sum, { rows }) => sum + rows.length / hiddenSize, 0);
    const values = new Float32Array(Math.max(count, 1) * hiddenSize);
    const wanted = new Int32Array(tokens).map((_, token) => token);
    let row = 0;
    for (const { at, rows } of inserted) {
      values.set(rows, row * hiddenSize);
      for (let token = at; token < at + rows.length / hiddenSize; token++) wanted[token] = tokens + row++;
    }
    return {
      [INSERTED_ROWS]: toDType(values, [Math.max(count, 1), hiddenSize], dtype),
      [EMBEDDING_ROWS]: int64(wanted),
    };
  },
});
