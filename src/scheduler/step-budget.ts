import { endOf, type Insert, insertsWithin } from '../media/index.js';
import { type BatchEntry, entryOf } from './batch.js';
import type { FilledOptions } from './limits.js';
import type { Sequence } from './sequence.js';

/** Rows of an encoder for each token that a step may have: four patches of a picture mostly make a token. */
const ROWS_PER_TOKEN = 4;

/**
 * What is left of one step for prompts: tokens, and rows of the model's encoder. An encoder may have more rows in one step
 * where they are one thing, which nobody can cut; a prompt that may be cut is cut before what must wait for the next step.
 */
export class StepBudget {
  #tokens: number;
  #rows: number;
  #hasEncoded = false;
  #hasPrompt = false;

  /** `tokens`: of prompts. */
  constructor(
    tokens: number,
    private readonly limits: Pick<FilledOptions, 'chunkedPrefill' | 'maxPrefillTokens'>,
  ) {
    this.#tokens = tokens;
    this.#rows = ROWS_PER_TOKEN * limits.maxPrefillTokens;
  }

  get isSpent(): boolean {
    return this.#tokens <= 0;
  }

  /** At most so many tokens more. */
  narrow(tokens: number): void {
    this.#tokens = Math.min(this.#tokens, tokens);
  }

  /** Tokens of a prompt that this step computes; 0: it waits for the next. */
  chunkLen(sequence: Sequence): number {
    const { chunkedPrefill, maxPrefillTokens } = this.limits;
    const { remainingLen, maxChunkLen } = sequence;
    // A preempted sequence may have outgrown every step; it is computed in chunks in any case.
    const isCut = chunkedPrefill || remainingLen > Math.min(maxPrefillTokens, maxChunkLen);
    if (isCut) {
      const count = Math.min(remainingLen, this.#tokens, maxChunkLen);
      return count <= 0 ? 0 : this.#uncut(sequence, this.#whole(sequence, count));
    }
    return remainingLen <= this.#tokens && this.#fits(unencoded(sequence, remainingLen)) ? remainingLen : 0;
  }

  /** The next `count` tokens of a sequence, as a part of the step. */
  take(sequence: Sequence, count: number): BatchEntry {
    const encodes = unencoded(sequence, count);
    this.#tokens -= count;
    this.#hasPrompt = true;
    for (const { input } of encodes) this.#rows -= input.rows;
    if (encodes.length > 0) this.#hasEncoded = true;
    return entryOf(sequence, count, encodes);
  }

  /** So many tokens, or up to what is not cut: one that is longer than a step is computed beside no other prompt. */
  #whole({ inserts, cachedLen }: Sequence, count: number): number {
    const cut = insertsWithin(inserts, cachedLen, count).at(-1);
    if (!cut?.input.isWhole || endOf(cut) <= cachedLen + count) return count;
    if (cut.start > cachedLen) return cut.start - cachedLen;
    return this.#hasPrompt ? 0 : endOf(cut) - cachedLen;
  }

  /** How many of these tokens come before what does not fit. */
  #uncut(sequence: Sequence, count: number): number {
    const inserts = unencoded(sequence, count);
    const beyond = inserts.find((_, index) => !this.#fits(inserts.slice(0, index + 1), index));
    return beyond === undefined ? count : Math.max(0, beyond.start - sequence.cachedLen);
  }

  /** Whether the encoder can make rows of these, `before` of which belong to the same step in any case. */
  #fits(inserts: readonly Insert[], before = 0): boolean {
    const rows = inserts.reduce((sum, { input }) => sum + input.rows, 0);
    return rows <= this.#rows || (!this.#hasEncoded && before === 0);
  }
}

/** What the next `count` tokens are part of, as far as nobody holds its rows. */
const unencoded = ({ inserts, cachedLen, encoded }: Sequence, count: number): Insert[] =>
  insertsWithin(inserts, cachedLen, count).filter((insert) => !encoded.has(insert));
