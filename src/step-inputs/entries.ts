import { int32, int64 } from './integers.js';
import { blockTables } from './paging.js';
import { rowsOfBlock } from './rows-of-block.js';
import type { StepInput } from './step-input.js';

/** Where entries go that stand for so many tokens each, and at which positions they are. */
export const entrySlots = (tokensPerEntry: number): string => `entry_slots_${tokensPerEntry}`;
export const entryPositions = (tokensPerEntry: number): string => `entry_positions_${tokensPerEntry}`;

/** Tokens of a block of the cache: i32 [1], held for the run. */
export const BLOCK_TOKENS = 'block_tokens';

export const blockTokens: StepInput = {
  names: [BLOCK_TOKENS],
  describe: () => ({ [BLOCK_TOKENS]: { dtype: 'i32', shape: [1] } }),
  hold: ({ blockSize }) => ({ [BLOCK_TOKENS]: int32(Int32Array.of(blockSize)) }),
};

/**
 * Entries that stand for `tokensPerEntry` tokens each, from a sequence's first on. `entry_slots_<n>` i32 [tokens]: for the
 * last token of an entry the row of that in the caches of entries, -1 for the others: in the token's block, its place there
 * by `tokensPerEntry`. `entry_positions_<n>` i64
 * [tokens]: for such a token the place of the entry's first token, 0 for the others.
 */
export const entries = (tokensPerEntry: number): StepInput => {
  const [slots, positions] = [entrySlots(tokensPerEntry), entryPositions(tokensPerEntry)];
  return {
    names: [slots, positions],
    describe: ({ rows }) => ({
      [slots]: { dtype: 'i32', shape: [rows] },
      [positions]: { dtype: 'i64', shape: [rows] },
    }),
    make(step, run) {
      const { data, width } = blockTables(step, run);
      const rows = rowsOfBlock(run.blockSize, tokensPerEntry);
      const tokens = step.tokenIds.length;
      const [to, at] = [new Int32Array(tokens).fill(-1), new Int32Array(tokens)];
      let token = 0;
      step.seqLens.forEach((end, row) => {
        for (let place = end - (step.queryLens[row] as number); place < end; place++, token++) {
          if ((place + 1) % tokensPerEntry !== 0) continue;
          const block = data[row * width + Math.floor(place / run.blockSize)] as number;
          to[token] = block * rows + Math.floor((place % run.blockSize) / tokensPerEntry);
          at[token] = place + 1 - tokensPerEntry;
        }
      });
      return { [slots]: int32(to), [positions]: int64(at) };
    },
  };
};
