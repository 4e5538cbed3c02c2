import { int64 } from './integers.js';
import type { StepInput } from './step-input.js';

/** `token_type_ids` i64 [tokens]: which text of a pair each token belongs to; 0 where a step does not say. */
export const tokenTypes: StepInput = {
  names: ['token_type_ids'],
  describe: ({ rows }) => ({ token_type_ids: { dtype: 'i64', shape: [rows] } }),
  make: ({ tokenIds, tokenTypes: types = new Int32Array(tokenIds.length) }) => ({
    token_type_ids: int64(types),
  }),
};
