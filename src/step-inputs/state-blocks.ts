import { int32 } from './integers.js';
import { blockTables } from './paging.js';
import type { StepInput } from './step-input.js';

export const STATE_FROM = 'state_from';
export const STATE_TO = 'state_to';

/**
 * How a step goes through recurrent states, of which each block of the cache has the one behind the last of its tokens that
 * were computed. `state_from` i32 [batch]: the block with the state before a sequence's first token; -1 where that is its
 * beginning. `state_to` i32 [tokens]: the block that gets the state behind a token, which is the last of the step or of the
 * block; -1 for the others. Throws REQUEST_INVALID for tables that do not fit, as `paging` does.
 */
export const stateBlocks: StepInput = {
  names: [STATE_FROM, STATE_TO],
  describe: ({ batch, rows }) => ({
    [STATE_FROM]: { dtype: 'i32', shape: [batch] },
    [STATE_TO]: { dtype: 'i32', shape: [rows] },
  }),
  make(step, run) {
    const { data, width } = blockTables(step, run);
    const from = new Int32Array(step.seqLens.length).fill(-1);
    const to = new Int32Array(step.tokenIds.length).fill(-1);
    let at = 0;
    step.seqLens.forEach((end, row) => {
      const begin = end - (step.queryLens[row] as number);
      const blockOf = (place: number) => data[row * width + Math.floor(place / run.blockSize)] as number;
      if (begin > 0) from[row] = blockOf(begin - 1);
      for (let place = begin; place < end; place++, at++)
        if (place === end - 1 || (place + 1) % run.blockSize === 0) to[at] = blockOf(place);
    });
    return { [STATE_FROM]: int32(from), [STATE_TO]: int32(to) };
  },
};
