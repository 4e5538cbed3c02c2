import { int64 } from './integers.js';
import type { StepInput } from './step-input.js';

/** `lm_head_indices` i64 [rows]: the tokens of the step whose logits are wanted. */
export const headRows: StepInput = {
  names: ['lm_head_indices'],
  describe: ({ headRows }) => ({ lm_head_indices: { dtype: 'i64', shape: [headRows] } }),
  recipes: () => ({ lm_head_indices: { made: 'last_rows' } }),
  make: (step) => ({ lm_head_indices: int64(step.headRows) }),
};
