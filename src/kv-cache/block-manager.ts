import assert from 'node:assert/strict';

/** The KV blocks of one sequence, in order of position. Only a `BlockManager` changes it. */
export class BlockTable {
  /** Token `position` lives in block `blocks[floor(position / blockSize)]`. */
  readonly blocks: number[] = [];
}

export interface BlockManagerOptions {
  readonly numBlocks: number;
  /** Tokens of a block. */
  readonly blockSize: number;
}

/**
 * Who owns which KV block: accounting only, the bytes are native. Every operation does all of its work or none, so after
 * each `freeBlocks + usedBlocks === numBlocks`, and no block is in two tables.
 */
export class BlockManager {
  readonly numBlocks: number;
  readonly blockSize: number;
  /** By block: 1 when a table holds it. */
  readonly #isUsed: Uint8Array;
  #free: number;

  constructor({ numBlocks, blockSize }: BlockManagerOptions) {
    assert(Number.isSafeInteger(numBlocks) && numBlocks >= 1, `numBlocks ${numBlocks}`);
    assert(Number.isSafeInteger(blockSize) && blockSize >= 1, `blockSize ${blockSize}`);
    this.numBlocks = numBlocks;
    this.blockSize = blockSize;
    this.#isUsed = new Uint8Array(numBlocks);
    this.#free = numBlocks;
  }

  get freeBlocks(): number {
    return this.#free;
  }

  get usedBlocks(): number {
    return this.numBlocks - this.#free;
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
    let next = (table.blocks.at(-1) ?? Number.NaN) + 1;
    for (let lacking = missing; lacking > 0; lacking--, next++) {
      if (this.#isUsed[next] !== 0) next = this.#place(lacking);
      this.#isUsed[next] = 1;
      this.#free--;
      table.blocks.push(next);
    }
    return true;
  }

  /** Drops the table's blocks, which are free again. The table may grow anew. */
  release(table: BlockTable): void {
    for (const block of table.blocks) {
      assert(this.#isUsed[block] === 1, `block ${block} is free already`);
      this.#isUsed[block] = 0;
      this.#free++;
    }
    table.blocks.length = 0;
  }

  /**
   * Where `count` blocks begin best: in the longest run of free ids. Behind a block in use, in the middle of what the run
   * has to spare, so that both that block's sequence and this one can grow on.
   */
  #place(count: number): number {
    let [longest, length] = [-1, 0];
    for (let begin = 0; begin < this.numBlocks; begin++) {
      let end = begin;
      while (this.#isUsed[end] === 0) end++;
      if (end - begin > length) [longest, length] = [begin, end - begin];
      begin = end;
    }
    assert(length > 0, 'no block is free, although the counts say so');
    return longest === 0 ? 0 : longest + Math.max(0, Math.floor((length - count) / 2));
  }
}
