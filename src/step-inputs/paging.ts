import { refuseRequest } from '../errors.js';
import { int32 } from './integers.js';
import type { Step } from './step.js';
import type { RunFacts, StepInput } from './step-input.js';

/**
 * Where a step finds the KV cache. `block_tables` i32 [batch, blocks], padded with 0: the blocks of each sequence.
 * `slots_mapping` i32 [tokens]: `block * blockSize + offset` of each new token.
 * Throws REQUEST_INVALID when a table is too short for its sequence or names a block that does not exist, and when slots
 * are given that the tables contradict.
 */
export const paging: StepInput = {
  names: ['slots_mapping', 'block_tables'],
  describe: ({ rows, batch, blocks }) => ({
    slots_mapping: { dtype: 'i32', shape: [rows] },
    block_tables: { dtype: 'i32', shape: [batch, blocks] },
  }),
  recipes: () => ({ slots_mapping: { made: 'slots' }, block_tables: { made: 'block_tables' } }),
  make(step, run) {
    const { data: tables, width } = blockTables(step, run);
    const slots = new Int32Array(step.tokenIds.length);
    let at = 0;
    step.seqLens.forEach((seqLen, row) => {
      // A token's place in its sequence, which need not be its position: pictures share positions.
      for (let place = seqLen - (step.queryLens[row] as number); place < seqLen; place++, at++) {
        const block = tables[row * width + Math.floor(place / run.blockSize)] as number;
        slots[at] = block * run.blockSize + (place % run.blockSize);
      }
    });
    if (step.slots) requireSame(step.slots, slots);
    return { slots_mapping: int32(slots), block_tables: int32(tables, [step.seqLens.length, width]) };
  },
};

/** [batch, width], padded with 0. */
export function blockTables(
  step: Step,
  run: RunFacts,
): { readonly data: Int32Array; readonly width: number } {
  const width = tableWidth(step, run);
  const data = new Int32Array(step.seqLens.length * width);
  step.blockTables.forEach((blocks, row) => {
    const used = Math.ceil((step.seqLens[row] as number) / run.blockSize);
    for (let i = 0; i < used; i++) data[row * width + i] = checkedBlock(blocks[i], row, run);
  });
  return { data, width };
}

/** Blocks of the widest table, as the next power of two: tables that grow by a block keep their shape. */
function tableWidth({ seqLens, blockTables }: Step, { blockSize }: RunFacts): number {
  if (blockTables.length !== seqLens.length)
    refuseRequest('blockTables', `one table for each of the ${seqLens.length} sequences`, blockTables.length);
  let widest = 1;
  for (let row = 0; row < seqLens.length; row++) {
    const blocks = Math.ceil((seqLens[row] as number) / blockSize);
    const found = blockTables[row]?.length ?? 0;
    if (found < blocks) {
      const tokens = `${seqLens[row]} tokens of sequence ${row}`;
      refuseRequest('blockTables', `at least ${blocks} blocks of ${blockSize} for the ${tokens}`, found);
    }
    widest = Math.max(widest, blocks);
  }
  return 2 ** Math.ceil(Math.log2(widest));
}

function checkedBlock(block: number | undefined, row: number, { numBlocks }: RunFacts): number {
  if (block !== undefined && Number.isInteger(block) && block >= 0 && block < numBlocks) return block;
  return refuseRequest('blockTables', `blocks from 0 to ${numBlocks - 1} for sequence ${row}`, block);
}

function requireSame(given: Int32Array, made: Int32Array): void {
  if (given.length !== made.length)
    refuseRequest('slots', `one for each of the ${made.length} tokens`, given.length);
  const at = given.findIndex((slot, index) => slot !== made[index]);
  if (at >= 0) refuseRequest('slots', `${made[at]} for token ${at}, as the block tables say`, given[at]);
}
