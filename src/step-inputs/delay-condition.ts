import { toDType } from '../dtype.js';
import type { StepInput } from './step-input.js';

/** How many tokens what is written comes behind what is heard, as a vector. */
export const DELAY_CONDITION = 'delay_condition';

const THETA = 10_000;

/**
 * `delay_condition` [1, hidden] in the model's dtype: cos(n f) for each of hidden / 2 frequencies f from 1 down, the next of
 * which would be 1 / 10000, then sin(n f), of `tokens` n (transformers 5.24, `VoxtralRealtimeTimeEmbedding`).
 */
export const delayCondition = (tokens: number, hiddenSize: number): StepInput => ({
  names: [DELAY_CONDITION],
  describe: ({ dtype }) => ({ [DELAY_CONDITION]: { dtype, shape: [1, hiddenSize] } }),
  hold({ dtype }) {
    const half = hiddenSize / 2;
    const values = new Float32Array(hiddenSize);
    for (let i = 0; i < half; i++) {
      const angle = tokens * THETA ** (-i / half);
      values[i] = Math.cos(angle);
      values[half + i] = Math.sin(angle);
    }
    return { [DELAY_CONDITION]: toDType(values, [1, hiddenSize], dtype) };
  },
});
