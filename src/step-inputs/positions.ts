import { AtbError } from '../errors.js';
import { int64 } from './integers.js';
import type { Step } from './step.js';
import type { RunFacts, StepInput } from './step-input.js';

/** `position_ids` i64 [tokens], for models that learn an embedding of each position. Rotary models use `rotary`. */
export const positions: StepInput = {
  names: ['position_ids'],
  describe: ({ rows }) => ({ position_ids: { dtype: 'i64', shape: [rows] } }),
  recipes: () => ({ position_ids: { made: 'positions' } }),
  make(step, run) {
    requireWithin(step, run);
    return { position_ids: int64(step.positions) };
  },
};

/** Throws REQUEST_INVALID for a position that a table of all positions does not have. */
export function requireWithin({ positions: found }: Step, { maxPositionEmbeddings }: RunFacts): void {
  for (const position of found) {
    if (position >= 0 && position < maxPositionEmbeddings) continue;
    const expected = `from 0 to below max_position_embeddings (${maxPositionEmbeddings})`;
    throw new AtbError('REQUEST_INVALID', { field: 'position', expected, found: position });
  }
}
