import { loraShares } from '../common-op-builders/index.js';
import { toDType } from '../dtype.js';
import type { StepInput } from './step-input.js';

/**
 * `lora_N_shares` [tokens, 1] in the model's dtype, N being the adapter's place among those of the run: `scale` for tokens
 * of requests that ask for it, 0 for the others.
 */
export const requestAdapter = (index: number, scale: number): StepInput => {
  const name = loraShares(index);
  return {
    names: [name],
    dependsOnAdapter: true,
    describe: ({ rows, dtype }) => ({ [name]: { dtype, shape: [rows, 1] } }),
    make({ queryLens, adapters = [] }, { dtype }) {
      const shares = [...queryLens].flatMap((count, row) =>
        Array<number>(count).fill(adapters[row] === index ? scale : 0),
      );
      return { [name]: toDType(Float32Array.from(shares), [shares.length, 1], dtype) };
    },
  };
};
