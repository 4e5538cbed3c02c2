import assert from 'node:assert/strict';
import { type Insert, insertsWithin } from '../media/index.js';
import { blockDigest, PrefixIndex, rootDigest } from './prefix-index.js';

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
  ) {}
}

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

  constructor({ numBlocks, blockSize }: BlockManagerOptions) {
    assert(Number.isSafeInteger(numBlocks) && numBlocks >= 1, `numBlocks ${numBlocks}`);
    assert(Number.isSafeInteger(blockSize) && blockSize >= 1, `blockSize ${blockSize}`);
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
    return Math.ceil(tokens / this.blockSize);
  }

  /** Blocks that `table` lacks to hold `tokens` tokens. */
  missingBlocks(table: BlockTable, tokens: number): number {
    return Math.max(0, this.blocksFor(tokens) - table.blocks.length);
  }

  /**
   * Makes `table` hold at least `tokens` tokens. False: not enough free blocks, and nothing changed.
   * Ids follow one another where they can: blocks of consecutive ids are one stream to attention, which reads them faster.
   */
  grow(table: BlockTable, tokens: number): boolean {
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
    for (const block of table.blocks.toReversed()) {
      const holders = this.#holders[block] as number;
      assert(holders > 0, `block ${block} is free already`);
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
    assert(table.blocks.length === 0, 'only a table without blocks can reuse some');
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
  share({ blocks, digests, publishedBlocks }: BlockTable, to: BlockTable): void {
    assert(to.blocks.length === 0, 'only a table without blocks can share those of another');
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
    const from = table.blocks[index] as number;
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
    const full = Math.floor(tokens.length / this.blockSize);
    for (let index = table.publishedBlocks; index < full; index++) {
      const { digest } = this.#contentOf(table, tokens, index);
      if (!this.#announced.has(digest)) this.#announced.set(digest, table);
    }
  }

  /** Whether another table's owner is computing the full block that comes next in this one. */
  isAnnounced(table: BlockTable, tokens: readonly number[]): boolean {
    const index = table.blocks.length;
    if (index >= Math.floor((tokens.length - 1) / this.blockSize)) return false;
    return this.#announced.has(this.#contentOf(table, tokens, index).digest);
  }

  /** The table's blocks that `cachedLen` tokens fill can be found from now on: their keys and values are written. */
  publish(table: BlockTable, tokens: readonly number[], cachedLen: number): void {
    const full = Math.floor(cachedLen / this.blockSize);
    for (; table.publishedBlocks < full; table.publishedBlocks++) {
      const { parent, digest, own } = this.#contentOf(table, tokens, table.publishedBlocks);
      this.#index.add(table.blocks[table.publishedBlocks] as number, digest, parent, own);
      if (this.#announced.get(digest) === table) this.#announced.delete(digest);
    }
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
