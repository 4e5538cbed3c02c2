import { int32, int64 } from '../integers.js';
import type { StepInput } from '../step-input.js';
import { querySequences } from './query-sequences.js';
import { QUERIED_WINDOWS } from './sound-blocks.js';

/** What queries read that see words beside each other. */
export const QUERIED_WORDS = {
  ids: 'queried_word_ids',
  positions: 'queried_word_positions',
  sequences: 'queried_sequences',
  queries: 'queries_of_sequences',
  words: 'words_of_sequences',
} as const;

/** How many words a prompt is described with: nobody knows before. */
const DESCRIBED = 16;

/**
 * Of pictures of `patches` patches each, P in all, whose `seen` rows, which lie in order, `queries` learned ones look at
 * (Q for all pictures), beside the words that a prompt has for each of them (W): what `queriedPictures` brings, of
 * which `window_query_len` counts words, too; `queried_word_ids`, `queried_word_positions` i64 [W]; of rows of
 * queries and, behind all of them, of words, `queried_sequences` i64 [Q + W] how they lie picture by picture, queries
 * first; there, which are queries, `queries_of_sequences` i64 [Q], and words, `words_of_sequences` i64 [W].
 */
export const queriedWords = (patches: number, seen: number, queries: number): StepInput => ({
  names: [
    ...Object.values(QUERIED_WORDS),
    ...[QUERIED_WINDOWS.queries, QUERIED_WINDOWS.lens, QUERIED_WINDOWS.seen],
  ],
  describe({ rows }) {
    const pictures = Math.max(1, Math.floor(rows / patches));
    const list = (each: number) => ({ dtype: 'i64', shape: [pictures * each] }) as const;
    return {
      [QUERIED_WORDS.ids]: list(DESCRIBED),
      [QUERIED_WORDS.positions]: list(DESCRIBED),
      [QUERIED_WORDS.sequences]: list(queries + DESCRIBED),
      [QUERIED_WORDS.queries]: list(queries),
      [QUERIED_WORDS.words]: list(DESCRIBED),
      [QUERIED_WINDOWS.queries]: list(queries),
      [QUERIED_WINDOWS.lens]: { dtype: 'i32', shape: [pictures] },
      [QUERIED_WINDOWS.seen]: { dtype: 'i32', shape: [2, pictures] },
    };
  },
  make({ encoderInputs = [] }) {
    const all = encoderInputs.map(({ words }) => words ?? new Int32Array());
    const found = { ids: [], positions: [], sequences: [], queries: [], words: [] } as Record<
      keyof typeof QUERIED_WORDS,
      number[]
    >;
    for (const [picture, words] of all.entries()) {
      for (let query = 0; query < queries; query++) {
        found.queries.push(found.sequences.length);
        found.sequences.push(picture * queries + query);
      }
      for (const [position, id] of words.entries()) {
        found.words.push(found.sequences.length);
        found.sequences.push(all.length * queries + found.ids.length);
        found.ids.push(id);
        found.positions.push(position);
      }
    }
    const asked = querySequences(queries, Array<number>(all.length).fill(seen));
    return {
      ...Object.fromEntries(
        Object.entries(QUERIED_WORDS).map(([what, name]) => [
          name,
          int64(Int32Array.from(found[what as keyof typeof QUERIED_WORDS])),
        ]),
      ),
      [QUERIED_WINDOWS.queries]: asked.rows,
      [QUERIED_WINDOWS.lens]: int32(Int32Array.from(all, ({ length }) => queries + length)),
      [QUERIED_WINDOWS.seen]: asked.lens,
    };
  },
});
