import { toDType } from '../dtype.js';
import { int64 } from './integers.js';
import type { StepInput } from './step-input.js';

/** Embeddings that encoders made, and of each token of a step which row of words and these it gets. */
export const INSERTED_ROWS = 'inserted_rows';
export const EMBEDDING_ROWS = 'embedding_rows';

/**
 * `inserted_rows` [rows, hidden] in the model's dtype: a row for each token of the step that is no word, or one of zeros
 * where there is none. `embedding_rows` i64 [tokens]: i for a word at i; for the others, behind all tokens, the place
 * among the inserted rows. Encoders may give wider rows: further vectors for the layers, see `deepRows`.
 */
export const insertedRows = (hiddenSize: number): StepInput => ({
  names: [INSERTED_ROWS, EMBEDDING_ROWS],
  describe: ({ rows, dtype }) => ({
    [INSERTED_ROWS]: { dtype, shape: [rows, hiddenSize] },
    [EMBEDDING_ROWS]: { dtype: 'i64', shape: [rows] },
  }),
  make({ tokenIds: { length: tokens }, inserted = [] }, { dtype }) {
    const count = inserted.reduce((sum, { rows, width }) => sum + rows.length / width, 0);
    const values = new Float32Array(Math.max(count, 1) * hiddenSize);
    const wanted = new Int32Array(tokens).map((_, token) => token);
    let row = 0;
    for (const { at, rows, width } of inserted)
      for (let token = 0; token < rows.length / width; token++, row++) {
        values.set(rows.subarray(token * width, token * width + hiddenSize), row * hiddenSize);
        wanted[at + token] = tokens + row;
      }
    return {
      [INSERTED_ROWS]: toDType(values, [Math.max(count, 1), hiddenSize], dtype),
      [EMBEDDING_ROWS]: int64(wanted),
    };
  },
});

/** Vectors that are added behind the first layers, and which of them each token gets. */
export const DEEP_ROWS = (level: number): string => `deep_rows_${level}`;
export const DEEP_INDEX = 'deep_index';

/**
 * `deep_rows_<level>` [1 + rows, hidden] in the model's dtype, for each of `levels` layers: zeros, then a row for each token
 * of the step that is no word, out of what its encoder gave behind the embedding. `deep_index` i64 [tokens]: 0 for words.
 */
export const deepRows = (hiddenSize: number, levels: number): StepInput => ({
  names: [...Array.from({ length: levels }, (_, level) => DEEP_ROWS(level)), DEEP_INDEX],
  describe: ({ rows, dtype }) => ({
    ...Object.fromEntries(
      Array.from({ length: levels }, (_, level) => [
        DEEP_ROWS(level),
        { dtype, shape: [1 + rows, hiddenSize] } as const,
      ]),
    ),
    [DEEP_INDEX]: { dtype: 'i64', shape: [rows] },
  }),
  make({ tokenIds, inserted = [] }, { dtype }) {
    const count = inserted.reduce((sum, { rows, width }) => sum + rows.length / width, 0);
    const index = new Int32Array(tokenIds.length);
    const values = Array.from({ length: levels }, () => new Float32Array((1 + count) * hiddenSize));
    let row = 1;
    for (const { at, rows, width } of inserted)
      for (let token = 0; token < rows.length / width; token++, row++) {
        index[at + token] = row;
        for (const [level, into] of values.entries()) {
          const from = token * width + (1 + level) * hiddenSize;
          into.set(rows.subarray(from, from + hiddenSize), row * hiddenSize);
        }
      }
    return {
      ...Object.fromEntries(
        values.map((data, level) => [DEEP_ROWS(level), toDType(data, [1 + count, hiddenSize], dtype)]),
      ),
      [DEEP_INDEX]: int64(index),
    };
  },
});
