import { toDType } from '../dtype.js';
import { int64 } from './integers.js';
import type { InsertedRows, Step } from './step.js';
import type { StepInput } from './step-input.js';

/** The tokens of a step whose embeddings encoders made: their places in it, and all that was made for each. */
const insertedTokens = (
  inserted: readonly InsertedRows[] = [],
): readonly { readonly token: number; readonly vectors: Float32Array }[] =>
  inserted.flatMap(({ at, rows, width }) =>
    Array.from({ length: rows.length / width }, (_, i) => ({
      token: at + i,
      vectors: rows.subarray(i * width, (i + 1) * width),
    })),
  );

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
  describe: ({ rows, insertedRows = rows, dtype }) => ({
    [INSERTED_ROWS]: { dtype, shape: [insertedRows, hiddenSize] },
    [EMBEDDING_ROWS]: { dtype: 'i64', shape: [rows] },
  }),
  recipes: () => ({
    [INSERTED_ROWS]: { made: 'inserted_rows' },
    [EMBEDDING_ROWS]: { made: 'embedding_rows' },
  }),
  make({ tokenIds: { length: tokens }, inserted }, { dtype }) {
    const others = insertedTokens(inserted);
    const count = Math.max(others.length, 1);
    const values = new Float32Array(count * hiddenSize);
    const wanted = new Int32Array(tokens).map((_, token) => token);
    for (const [row, { token, vectors }] of others.entries()) {
      values.set(vectors.subarray(0, hiddenSize), row * hiddenSize);
      wanted[token] = tokens + row;
    }
    return {
      [INSERTED_ROWS]: toDType(values, [count, hiddenSize], dtype),
      [EMBEDDING_ROWS]: int64(wanted),
    };
  },
});

/** Vectors that are added behind the first layers, and which of them each token gets. */
export const DEEP_ROWS = (level: number): string => `deep_rows_${level}`;
export const DEEP_INDEX = 'deep_index';

/** Something of each level, by the name of its rows. */
const byLevel = <T>(levels: number, make: (level: number) => T): Record<string, T> =>
  Object.fromEntries(Array.from({ length: levels }, (_, level) => [DEEP_ROWS(level), make(level)]));

/**
 * `deep_rows_<level>` [1 + rows, hidden] in the model's dtype, for each of `levels` layers: zeros, then a row for each token
 * of the step that is no word, out of what its encoder gave behind the embedding. `deep_index` i64 [tokens]: 0 for words.
 */
export const deepRows = (hiddenSize: number, levels: number): StepInput => ({
  names: [...Array.from({ length: levels }, (_, level) => DEEP_ROWS(level)), DEEP_INDEX],
  describe: ({ rows, insertedRows = rows, dtype }) => ({
    ...byLevel(levels, () => ({ dtype, shape: [1 + insertedRows, hiddenSize] })),
    [DEEP_INDEX]: { dtype: 'i64', shape: [rows] },
  }),
  recipes: () => ({
    ...byLevel(levels, (level) => ({ made: 'deep_rows', level })),
    [DEEP_INDEX]: { made: 'deep_index' },
  }),
  make(step, { dtype }) {
    const { index, rowsFrom } = rowsToAdd(step, hiddenSize);
    return {
      ...byLevel(levels, (level) => toDType(...rowsFrom((1 + level) * hiddenSize), dtype)),
      [DEEP_INDEX]: int64(index),
    };
  },
});

/** What is added to embeddings of words, and which of it each token gets. */
export const ADDED_ROWS = 'added_rows';
export const ADDED_INDEX = 'added_index';

/**
 * `added_rows` [1 + rows, hidden] in the model's dtype: zeros, then a row for each token of the step beside which an encoder
 * gave one. `added_index` i64 [tokens]: 0 for tokens without.
 */
export const addedRows = (hiddenSize: number): StepInput => ({
  names: [ADDED_ROWS, ADDED_INDEX],
  describe: ({ rows, insertedRows = rows, dtype }) => ({
    [ADDED_ROWS]: { dtype, shape: [1 + insertedRows, hiddenSize] },
    [ADDED_INDEX]: { dtype: 'i64', shape: [rows] },
  }),
  make(step, { dtype }) {
    const { index, rowsFrom } = rowsToAdd(step, hiddenSize);
    return { [ADDED_ROWS]: toDType(...rowsFrom(0), dtype), [ADDED_INDEX]: int64(index) };
  },
});

/** Which row each token of a step gets, 0 for none, and these rows, of numbers that begin at a place of what was made. */
function rowsToAdd({ tokenIds, inserted }: Step, hiddenSize: number) {
  const others = insertedTokens(inserted);
  const count = 1 + others.length;
  const index = new Int32Array(tokenIds.length);
  for (const [at, { token }] of others.entries()) index[token] = 1 + at;
  const rowsFrom = (from: number): [values: Float32Array, shape: [number, number]] => {
    const values = new Float32Array(count * hiddenSize);
    for (const [at, { vectors }] of others.entries())
      values.set(vectors.subarray(from, from + hiddenSize), (1 + at) * hiddenSize);
    return [values, [count, hiddenSize]];
  };
  return { index, rowsFrom };
}
