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

/**
 * The same for RoBERTa: tokens that are not padding are counted from the row behind that of the padding's id, which each
 * token of padding gets (transformers 5.24, `create_position_ids_from_input_ids`).
 */
export function positionsPastPadding(padTokenId: number): StepInput {
  const { recipes: _, ...rest } = positions;
  return {
    ...rest,
    make(step, run) {
      requireWithin(step, run);
      const rows = new Int32Array(step.tokenIds.length);
      let at = 0;
      for (const count of step.queryLens) {
        let last = padTokenId;
        for (const end = at + count; at < end; at++)
          rows[at] = step.tokenIds[at] === padTokenId ? padTokenId : ++last;
      }
      return { position_ids: int64(rows) };
    },
  };
}

/** Throws REQUEST_INVALID for a position that a table of all positions does not have. */
export function requireWithin({ positions: found }: Step, { maxPositionEmbeddings }: RunFacts): void {
  for (const position of found) {
    if (position >= 0 && position < maxPositionEmbeddings) continue;
    const expected = `from 0 to below max_position_embeddings (${maxPositionEmbeddings})`;
    throw new AtbError('REQUEST_INVALID', { field: 'position', expected, found: position });
  }
}
