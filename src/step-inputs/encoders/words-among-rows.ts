import { int64 } from '../integers.js';
import type { StepInput } from '../step-input.js';

/** Ids of all tokens of what an encoder reads, and which of its rows and of their embeddings each gets. */
export const WORDS_AMONG = { ids: 'row_ids', rows: 'rows_and_words' } as const;

/**
 * For pictures between whose rows words stand: `row_ids` i64 [tokens], their ids, and `rows_and_words` i64 [tokens]: which of the
 * encoder's own rows a token of a picture gets, of one of the ids `rowTokens`; behind all of these, one for each token, the word's.
 */
export const wordsAmongRows = (...rowTokens: readonly number[]): StepInput => ({
  names: Object.values(WORDS_AMONG),
  describe: ({ rows }) => {
    const each = { dtype: 'i64', shape: [rows] } as const;
    return { [WORDS_AMONG.ids]: each, [WORDS_AMONG.rows]: each };
  },
  make({ encoderInputs = [] }) {
    const ids = encoderInputs.flatMap(({ tokens = new Int32Array() }) => [...tokens]);
    const own = ids.filter((id) => rowTokens.includes(id)).length;
    let next = 0;
    const rows = ids.map((id, token) => (rowTokens.includes(id) ? next++ : own + token));
    return {
      [WORDS_AMONG.ids]: int64(Int32Array.from(ids)),
      [WORDS_AMONG.rows]: int64(Int32Array.from(rows)),
    };
  },
});
