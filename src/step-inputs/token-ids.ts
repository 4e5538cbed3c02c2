import { int64 } from './integers.js';
import type { StepInput } from './step-input.js';

/** `input_ids` i64 [tokens]. */
export const tokenIds: StepInput = {
  names: ['input_ids'],
  describe: ({ rows }) => ({ input_ids: { dtype: 'i64', shape: [rows] } }),
  recipes: () => ({ input_ids: { made: 'token_ids' } }),
  make: (step) => ({ input_ids: int64(step.tokenIds) }),
};
