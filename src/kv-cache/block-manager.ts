import assert from 'node:assert/strict';
import { insertsWithin } from '../media/index.js';
import {
  type ArgumentKind,
  madeBy,
  OBJECT,
  refuseArgument,
  requireArgument,
  TOKENS,
  whole,
} from '../require-argument.js';
import { BlockTable, EMPTY_TABLE, TABLE } from './block-table.js';
import { blockDigest, PrefixIndex, rootDigest } from './prefix-index.js';

/** Which of them a table holds is kept in an array of as many. */
const MOST_BLOCKS = 2 ** 31 - 1;
const BLOCKS: ArgumentKind = {
  expected: `an integer from 1 to ${MOST_BLOCKS}`,
  holds: (value) => whole(1).holds(value) && (value as number) <= MOST_BLOCKS,
};
const WHOLE = whole(0);

export { BlockTable } from './block-table.js';

export interface BlockManagerOptions {
  readonly numBlocks: number;
  /** Tokens of a block. */
  readonly blockSize: number;
}

/**
 * Who holds which KV block: accounting only, the bytes are native. Every operation does all of its work or none, so after
 * each `freeBlocks + usedBlocks === numBlocks`.
 *
 * Tables share full blocks of the same content: `publish` makes a block known by what it holds, `reuse` finds it. A block
 * that no table holds any more is free, but keeps its content until `grow` needs it: those used least recently go first,
 * the end of a sequence before its beginning.
 */
export class BlockManager {
  readonly numBlocks: number;
  readonly blockSize: number;
  /** By block: how many tables hold it. */
  readonly #holders: Uint32Array;
  /** By block: 1 when a table holds it, or when it is free and keeps its content. */
  readonly #isKept: Uint8Array;
  readonly #index = new PrefixIndex();
  /** Blocks that nobody holds and that keep their content, least recently used first. */
  readonly #idle = new Set<number>();
  /** Digests of full blocks that some table's owner is about to compute. */
  readonly #announced = new Map<string, BlockTable>();
  #free: number;

  /** @throws ARGUMENT_INVALID, as all that is called with what is none of its arguments */
  constructor(options: BlockManagerOptions) {
    requireArgument('new BlockManager', '{ numBlocks, blockSize }', OBJECT, options);
    const { numBlocks, blockSize } = options;
    requireArgument('new BlockManager', 'numBlocks', BLOCKS, numBlocks);
    requireArgument('new BlockManager', 'blockSize', whole(1), blockSize);
    this.numBlocks = numBlocks;
    this.blockSize = blockSize;
    this.#holders = new Uint32Array(numBlocks);
    this.#isKept = new Uint8Array(numBlocks);
    this.#free = numBlocks;
  }

  /** Blocks that no table holds; some of them keep their content. */
  get freeBlocks(): number {
    return this.#free;
  }

  get usedBlocks(): number {
    return this.numBlocks - this.#free;
  }

  /** Blocks that can be found by their content, whether a table holds them or not. */
  get publishedBlocks(): number {
    return this.#index.size;
  }

  /** Blocks that hold `tokens` tokens. */
  blocksFor(tokens: number): number {
    requireArgument('BlockManager.blocksFor', 'tokens', WHOLE, tokens);
    return Math.ceil(tokens / this.blockSize);
  }

  /** Blocks that `table` lacks to hold `tokens` tokens. */
  missingBlocks(table: BlockTable, tokens: number): number {
    requireArgument('BlockManager.missingBlocks', 'the table', TABLE, table);
    requireArgument('BlockManager.missingBlocks', 'tokens', WHOLE, tokens);
    return Math.max(0, this.blocksFor(tokens) - table.blocks.length);
  }

  /**
   * Makes `table` hold at least `tokens` tokens. False: not enough free blocks, and nothing changed.
   * Ids follow one another where they can: blocks of consecutive ids are one stream to attention, which reads them faster.
   */
  grow(table: BlockTable, tokens: number): boolean {
    requireArgument('BlockManager.grow', 'the table', TABLE, table);
    requireArgument('BlockManager.grow', 'tokens', WHOLE, tokens);
    const missing = this.missingBlocks(table, tokens);
    if (missing > this.#free) return false;
    this.#forget(missing - (this.#free - this.#idle.size));
    let next = (table.blocks.at(-1) ?? Number.NaN) + 1;
    for (let lacking = missing; lacking > 0; lacking--, next++) {
      if (this.#isKept[next] !== 0) next = this.#place(lacking);
      this.#isKept[next] = 1;
      this.#holders[next] = 1;
      this.#free--;
      table.blocks.push(next);
    }
    return true;
  }

  /** Drops the table's blocks; those that nobody else holds are free again. The table may grow anew. */
  release(table: BlockTable): void {
    this.#requireHeld('BlockManager.release', table);
    for (const block of table.blocks.toReversed()) {
      const holders = this.#holders[block] as number;
      this.#holders[block] = holders - 1;
      if (holders > 1) continue;
      this.#free++;
      if (this.#index.has(block)) this.#idle.add(block);
      else this.#isKept[block] = 0;
    }
    table.blocks.length = 0;
    table.publishedBlocks = 0;
    for (const digest of table.digests)
      if (this.#announced.get(digest) === table) this.#announced.delete(digest);
  }

  /**
   * Puts the blocks that hold the first of `tokens` already into an empty table. Returns how many tokens that are: whole
   * blocks, and fewer than all tokens, because somebody must compute what follows the last one.
   */
  reuse(table: BlockTable, tokens: readonly number[]): number {
    requireArgument('BlockManager.reuse', 'the table', EMPTY_TABLE, table);
    requireArgument('BlockManager.reuse', 'tokens', TOKENS, tokens);
    const most = Math.floor((tokens.length - 1) / this.blockSize);
    for (let index = 0; index < most; index++) {
      const { parent, digest, own } = this.#contentOf(table, tokens, index);
      const block = this.#index.find(digest, parent, own);
      if (block === undefined) break;
      if (this.#holders[block] === 0) {
        this.#idle.delete(block);
        this.#free--;
      }
      (this.#holders[block] as number)++;
      table.blocks.push(block);
    }
    table.publishedBlocks = table.blocks.length;
    return table.blocks.length * this.blockSize;
  }

  /** Puts all blocks of a table into an empty one, too. Who writes into one of them owns it first. */
  share(table: BlockTable, to: BlockTable): void {
    this.#requireHeld('BlockManager.share', table);
    requireArgument('BlockManager.share', 'the table that gets them', EMPTY_TABLE, to);
    const { blocks, digests, publishedBlocks } = table;
    for (const block of blocks) (this.#holders[block] as number)++;
    to.blocks.push(...blocks);
    for (let index = 0; index < publishedBlocks; index++) to.digests[index] = digests[index] as string;
    to.publishedBlocks = publishedBlocks;
  }

  /**
   * Makes a block of the table one that nobody else holds. Returns the block to copy and the one that becomes like it; empty
   * where nobody else held it, undefined where no block is free.
   */
  own(table: BlockTable, index: number): readonly number[] | undefined {
    requireArgument('BlockManager.own', 'the table', TABLE, table);
    const from = table.blocks[index];
    if (from === undefined)
      refuseArgument('BlockManager.own', 'index', `below ${table.blocks.length}, the table's blocks`, index);
    if (this.#holders[from] === 1) return [];
    const fresh = new BlockTable();
    if (!this.grow(fresh, this.blockSize)) return undefined;
    const [to] = fresh.blocks as [number];
    (this.#holders[from] as number)--;
    table.blocks[index] = to;
    return [from, to];
  }

  /** The table's owner computes these tokens from now on; whoever begins alike does well to wait for `publish`. */
  announce(table: BlockTable, tokens: readonly number[]): void {
    requireArgument('BlockManager.announce', 'the table', TABLE, table);
    requireArgument('BlockManager.announce', 'tokens', TOKENS, tokens);
    const full = Math.floor(tokens.length / this.blockSize);
    for (let index = table.publishedBlocks; index < full; index++) {
      const { digest } = this.#contentOf(table, tokens, index);
      if (!this.#announced.has(digest)) this.#announced.set(digest, table);
    }
  }

  /** Whether another table's owner is computing the full block that comes next in this one. */
  isAnnounced(table: BlockTable, tokens: readonly number[]): boolean {
    requireArgument('BlockManager.isAnnounced', 'the table', TABLE, table);
    requireArgument('BlockManager.isAnnounced', 'tokens', TOKENS, tokens);
    const index = table.blocks.length;
    if (index >= Math.floor((tokens.length - 1) / this.blockSize)) return false;
    return this.#announced.has(this.#contentOf(table, tokens, index).digest);
  }

  /** The table's blocks that `cachedLen` tokens fill can be found from now on: their keys and values are written. */
  publish(table: BlockTable, tokens: readonly number[], cachedLen: number): void {
    const call = 'BlockManager.publish';
    requireArgument(call, 'the table', TABLE, table);
    requireArgument(call, 'tokens', TOKENS, tokens);
    const most = Math.min(tokens.length, table.blocks.length * this.blockSize);
    if (!WHOLE.holds(cachedLen) || cachedLen > most)
      refuseArgument(
        call,
        'cachedLen',
        `an integer of at most ${most}, what tokens and blocks hold`,
        cachedLen,
      );
    const full = Math.floor(cachedLen / this.blockSize);
    for (; table.publishedBlocks < full; table.publishedBlocks++) {
      const { parent, digest, own } = this.#contentOf(table, tokens, table.publishedBlocks);
      this.#index.add(table.blocks[table.publishedBlocks] as number, digest, parent, own);
      if (this.#announced.get(digest) === table) this.#announced.delete(digest);
    }
  }

  /** Refuses a table of another manager, whose blocks this one may not have. */
  #requireHeld(call: string, table: BlockTable): void {
    requireArgument(call, 'the table', TABLE, table);
    const free = table.blocks.find((block) => !((this.#holders[block] ?? 0) > 0));
    if (free !== undefined)
      refuseArgument(
        call,
        'the table',
        `one whose blocks this manager gave it: block ${free} is nobody's`,
        table.blocks,
      );
  }

  #contentOf(
    { digests, salt, inserts }: BlockTable,
    tokens: readonly number[],
    index: number,
  ): { readonly parent: string; readonly digest: string; readonly own: Int32Array } {
    const parent = index === 0 ? rootDigest(salt) : (digests[index - 1] as string);
    const start = index * this.blockSize;
    const words = tokens.slice(start, start + this.blockSize);
    // Their tokens are all alike, whatever they show.
    const keys = insertsWithin(inserts, start, this.blockSize).flatMap(({ input }) => [...input.key]);
    const own = Int32Array.from([...words, ...keys]);
    digests[index] ??= blockDigest(parent, own);
    return { parent, digest: digests[index], own };
  }

  /** Takes their content from so many blocks that nobody holds. */
  #forget(count: number): void {
    for (const block of this.#idle) {
      if (count-- <= 0) return;
      this.#idle.delete(block);
      this.#index.delete(block);
      this.#isKept[block] = 0;
    }
  }

  /**
   * Where `count` blocks begin best: in the longest run of ids that are not kept. Behind a block in use, in the middle of
   * what the run has to spare, so that both that block's sequence and this one can grow on.
   */
  #place(count: number): number {
    let [longest, length] = [-1, 0];
    for (let begin = 0; begin < this.numBlocks; begin++) {
      let end = begin;
      while (this.#isKept[end] === 0) end++;
      if (end - begin > length) [longest, length] = [begin, end - begin];
      begin = end;
    }
    assert(length > 0, 'no block is free, although the counts say so');
    return longest === 0 ? 0 : longest + Math.max(0, Math.floor((length - count) / 2));
  }
}

const MANAGER = madeBy(
  BlockManager,
  'a BlockManager, which new BlockManager({ numBlocks, blockSize }) makes',
);

/** @throws ARGUMENT_INVALID */
export function requireBlockManager(call: string, found: BlockManager): BlockManager {
  requireArgument(call, 'the blocks', MANAGER, found);
  return found;
}
