import type { Insert } from '../media/index.js';
import { type ArgumentKind, madeBy, requireArgument, TEXT } from '../require-argument.js';

const INSERTS: ArgumentKind = { expected: 'a list of inserts', holds: Array.isArray };

/** The KV blocks of one sequence, in order of position. Only a `BlockManager` changes it. */
export class BlockTable {
  /** Token `position` lives in block `blocks[floor(position / blockSize)]`. */
  readonly blocks: number[] = [];
  /** Digests of the sequence's full blocks, as far as somebody asked; kept when the blocks are not. */
  readonly digests: string[] = [];
  /** Leading blocks that need not be published any more. */
  publishedBlocks = 0;

  /** Of sequences with different salts no block is ever shared. `inserts`: what the sequence holds beside text. */
  constructor(
    readonly salt = '',
    readonly inserts: readonly Insert[] = [],
  ) {
    requireArgument('new BlockTable', 'the salt', TEXT, salt);
    requireArgument('new BlockTable', 'the inserts', INSERTS, inserts);
  }
}

export const TABLE = madeBy(BlockTable, 'a BlockTable, which new BlockTable() makes');
export const EMPTY_TABLE: ArgumentKind = {
  expected: 'a BlockTable without blocks; release it first',
  holds: (value) => value instanceof BlockTable && value.blocks.length === 0,
};
