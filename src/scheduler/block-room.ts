import type { BlockManager, BlockTable } from '../kv-cache/block-manager.js';
import type { Sequence } from './sequence.js';

/**
 * Gives sequences their blocks: those with their first tokens in them where there are, and free ones.
 *
 * It also keeps blocks of sequences that have ended, for others that follow them: these share them, and take a copy of the
 * one that they write into (copy on write). Kept blocks are a convenience: they are given back as soon as anybody lacks
 * room, and who follows then computes anew what is not found in the cache.
 */
export class BlockRoom {
  readonly #blocks: BlockManager;
  readonly #isCached: boolean;
  readonly #kept = new Set<Sequence>();
  /** Of the step that is planned: from, to, from, to, …. */
  #copies: number[] = [];

  /** @param isCached whether sequences that begin alike share full blocks. */
  constructor(blocks: BlockManager, isCached: boolean) {
    this.#blocks = blocks;
    this.#isCached = isCached;
  }

  /**
   * Room for `length` tokens of a sequence that starts; its `cachedLen` says how many of them are there already. False, and
   * it holds nothing: it must wait, for room, for what another one is computing, or because it does not fit into the step.
   */
  admit(sequence: Sequence, length: number, fitsStep: () => boolean): boolean {
    const { blockTable, tokens } = sequence;
    const mayReuse = this.#isCached && !sequence.scoresPrompt;
    sequence.cachedLen = this.#share(sequence);
    if (mayReuse && sequence.cachedLen === 0) sequence.cachedLen = this.#blocks.reuse(blockTable, tokens);
    const mustWait =
      !fitsStep() ||
      // What another sequence is computing is there soon.
      (mayReuse && this.#blocks.isAnnounced(blockTable, tokens)) ||
      !this.grow(blockTable, length) ||
      !this.#own(sequence);
    if (mustWait) {
      this.#blocks.release(blockTable);
      sequence.cachedLen = 0;
      return false;
    }
    if (this.#isCached) this.#blocks.announce(blockTable, tokens);
    return true;
  }

  /** Makes a table hold so many tokens. False: there is no room. */
  grow(table: BlockTable, tokens: number): boolean {
    return this.#blocks.grow(table, tokens) || (this.#releaseAll() && this.#blocks.grow(table, tokens));
  }

  /** The sequence has ended, as wished for: its blocks are free, or kept for those that follow it. */
  end(sequence: Sequence): void {
    if (sequence.keepsBlocks) this.#kept.add(sequence);
    else this.#blocks.release(sequence.blockTable);
  }

  /** Nobody will follow it any more. Of no effect on one whose blocks are not kept. */
  release(sequence: Sequence | undefined): void {
    if (sequence && this.#kept.delete(sequence)) this.#blocks.release(sequence.blockTable);
  }

  /** The blocks to copy before the step that is planned. */
  takeCopies(): readonly number[] {
    const copies = this.#copies;
    this.#copies = [];
    return copies;
  }

  /** How many of its tokens are in blocks of the one that it follows, which it shares from now on. */
  #share({ follows, blockTable, tokens }: Sequence): number {
    if (follows === undefined || !this.#kept.has(follows)) return 0;
    const { cachedLen } = follows;
    if (cachedLen >= tokens.length) return 0;
    for (let i = 0; i < cachedLen; i++) if (follows.tokens[i] !== tokens[i]) return 0;
    this.#blocks.share(follows.blockTable, blockTable);
    return cachedLen;
  }

  /** The next token may belong into a block that others hold: then a copy of it. False: there is no room. */
  #own({ blockTable, cachedLen }: Sequence): boolean {
    const index = Math.floor(cachedLen / this.#blocks.blockSize);
    let copy = this.#blocks.own(blockTable, index);
    if (copy === undefined && this.#releaseAll()) copy = this.#blocks.own(blockTable, index);
    this.#copies.push(...(copy ?? []));
    return copy !== undefined;
  }

  #releaseAll(): boolean {
    const isAny = this.#kept.size > 0;
    for (const sequence of [...this.#kept]) this.release(sequence);
    return isAny;
  }
}
