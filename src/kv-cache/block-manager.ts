import assert from 'node:assert/strict';

/** The KV blocks of one sequence, in order of position. Only a `BlockManager` changes it. */
export class BlockTable {
  /** Token `position` lives in block `blocks[floor(position / blockSize)]`. */
  readonly blocks: number[] = [];
}

/** Blocks set aside, without ids, for one later `grow`. */
export interface Reservation {
  readonly numBlocks: number;
}

export interface BlockManagerOptions {
  readonly numBlocks: number;
  /** Tokens of a block. */
  readonly blockSize: number;
}

/**
 * Who owns which KV block: accounting only, the bytes are native. Every operation does all of its work or none, so the
 * counts hold after each: `freeBlocks + reservedBlocks + usedBlocks === numBlocks`, and none is ever negative.
 * A block that several tables share has one reference for each and is full, so nobody writes into it.
 */
export class BlockManager {
  readonly numBlocks: number;
  readonly blockSize: number;
  /** Tables that hold a block; a block that none holds is free. */
  readonly #references: Uint32Array;
  #unused: number;
  readonly #reservations = new Set<Reservation>();
  #reserved = 0;

  constructor({ numBlocks, blockSize }: BlockManagerOptions) {
    assert(Number.isSafeInteger(numBlocks) && numBlocks >= 1, `numBlocks ${numBlocks}`);
    assert(Number.isSafeInteger(blockSize) && blockSize >= 1, `blockSize ${blockSize}`);
    this.numBlocks = numBlocks;
    this.blockSize = blockSize;
    this.#references = new Uint32Array(numBlocks);
    this.#unused = numBlocks;
  }

  /** Blocks that a `grow` without a reservation may take. */
  get freeBlocks(): number {
    return this.#unused - this.#reserved;
  }

  get reservedBlocks(): number {
    return this.#reserved;
  }

  /** Blocks that at least one table holds. */
  get usedBlocks(): number {
    return this.numBlocks - this.#unused;
  }

  /** Blocks that hold `tokens` tokens. */
  blocksFor(tokens: number): number {
    return Math.ceil(tokens / this.blockSize);
  }

  /** Blocks that `table` lacks to hold `tokens` tokens. */
  missingBlocks(table: BlockTable, tokens: number): number {
    return Math.max(0, this.blocksFor(tokens) - table.blocks.length);
  }

  /** Position `position` of a sequence, as a slot of the cache: block × blockSize + offset. */
  slot(table: BlockTable, position: number): number {
    const block = table.blocks[Math.floor(position / this.blockSize)];
    assert(block !== undefined, `position ${position} is beyond the table's ${table.blocks.length} blocks`);
    return block * this.blockSize + (position % this.blockSize);
  }

  /**
   * Makes `table` hold at least `tokens` tokens. False: not enough free blocks, and nothing changed. With a
   * reservation, blocks come from it first; it ends here, and what it does not need is free again.
   * Ids follow one another where they can: blocks of consecutive ids are one stream to attention, which reads them faster.
   */
  grow(table: BlockTable, tokens: number, reservation?: Reservation): boolean {
    const missing = this.missingBlocks(table, tokens);
    const reserved = reservation === undefined ? 0 : this.#checked(reservation).numBlocks;
    if (missing > this.freeBlocks + reserved) return false;
    if (reservation !== undefined) this.cancel(reservation);
    let next = (table.blocks.at(-1) ?? Number.NaN) + 1;
    for (let lacking = missing; lacking > 0; lacking--, next++) {
      if (this.#references[next] !== 0) next = this.#place(lacking);
      this.#references[next] = 1;
      this.#unused--;
      table.blocks.push(next);
    }
    return true;
  }

  /** Sets blocks aside so that nobody else takes them. Undefined: not enough are free. */
  reserve(numBlocks: number): Reservation | undefined {
    assert(Number.isSafeInteger(numBlocks) && numBlocks >= 0, `cannot reserve ${numBlocks} blocks`);
    if (numBlocks > this.freeBlocks) return undefined;
    const reservation = { numBlocks };
    this.#reservations.add(reservation);
    this.#reserved += numBlocks;
    return reservation;
  }

  /** Gives a reservation back unused. */
  cancel(reservation: Reservation): void {
    this.#reserved -= this.#checked(reservation).numBlocks;
    this.#reservations.delete(reservation);
  }

  /** Drops the table's blocks; those that nobody else shares are free again. The table may grow anew. */
  release(table: BlockTable): void {
    for (const block of table.blocks) {
      const references = this.#references[block] ?? 0;
      assert(references > 0, `block ${block} is free already`);
      this.#references[block] = references - 1;
      if (references === 1) this.#unused++;
    }
    table.blocks.length = 0;
  }

  /** A new table that shares the full blocks of the first `tokens` tokens; a block partly filled is not shared. */
  fork(table: BlockTable, tokens: number): BlockTable {
    const shared = new BlockTable();
    const numFull = Math.min(Math.floor(tokens / this.blockSize), table.blocks.length);
    for (const block of table.blocks.slice(0, numFull)) {
      this.#references[block] = (this.#references[block] ?? 0) + 1;
      shared.blocks.push(block);
    }
    return shared;
  }

  /** Tables that hold `block`. */
  references(block: number): number {
    return this.#references[block] ?? 0;
  }

  /**
   * Where `count` blocks begin best: in the longest run of free ids. Behind a block in use, in the middle of what the run
   * has to spare, so that both that block's sequence and this one can grow on.
   */
  #place(count: number): number {
    let [longest, length] = [-1, 0];
    for (let begin = 0; begin < this.numBlocks; begin++) {
      let end = begin;
      while (this.#references[end] === 0) end++;
      if (end - begin > length) [longest, length] = [begin, end - begin];
      begin = end;
    }
    assert(length > 0, 'no block is free, although the counts say so');
    return longest === 0 ? 0 : longest + Math.max(0, Math.floor((length - count) / 2));
  }

  #checked(reservation: Reservation): Reservation {
    assert(this.#reservations.has(reservation), 'the reservation has ended');
    return reservation;
  }
}
