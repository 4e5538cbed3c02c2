import { int32 } from './integers.js';
import type { StepInput } from './step-input.js';

/** `seq_len` i32 [batch]: tokens of each sequence that may be seen. `q_len` i32 [batch]: those of them in this step. */
export const lengths: StepInput = {
  names: ['seq_len', 'q_len'],
  describe({ batch }) {
    const each = { dtype: 'i32', shape: [batch] } as const;
    return { seq_len: each, q_len: each };
  },
  recipes: () => ({ seq_len: { made: 'context_lengths' }, q_len: { made: 'query_lengths' } }),
  make: ({ seqLens, queryLens }) => ({ seq_len: int32(seqLens), q_len: int32(queryLens) }),
};
