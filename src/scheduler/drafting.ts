import type { BlockManager } from '../kv-cache/block-manager.js';
import { type BatchEntry, decodeEntryOf } from './batch.js';
import type { FilledOptions } from './limits.js';
import { promptLookup } from './prompt-lookup.js';
import type { Sequence } from './sequence.js';
import type { SchedulerStats } from './stats.js';

/**
 * Rows that a step of decoding computes at most. Up to here it takes hardly longer than a step of one row, because it reads
 * the same weights; beyond, every row costs.
 */
const MAX_ROWS = 16;
/** How much each outcome moves a sequence's hit rate. */
const LEARNING = 0.2;
/** How much it moves what is expected of sequences that begin. */
const COMMON_LEARNING = 0.05;
/** A sequence whose guesses are right less often than this guesses only now and then. */
const LEAST_HIT_RATE = 0.15;
const SELDOM = 16;

interface Record {
  /** The share of guesses that were right, of those that came after right ones. */
  hitRate: number;
  /** Steps that it has let pass. */
  waited: number;
}

/** How many tokens, at most `most`, to guess ahead of each of so many sequences, where guesses are right at `hitRate`. */
export type DraftLength = (hitRate: number, sequences: number, most: number) => number;

/** Guesses cost nothing, as far as anybody has measured. */
export const theMost: DraftLength = (_hitRate, _sequences, most) => most;

/**
 * Guesses tokens ahead, so that one step may bring a sequence several: what is guessed right costs no step of its own.
 * Tokens are the same with it and without, because a guess is kept only where the model chooses that very token.
 */
export class Drafting {
  readonly #options: Pick<FilledOptions, 'draftTokens' | 'drafter'>;
  readonly #blocks: BlockManager;
  readonly #records = new WeakMap<Sequence, Record>();
  /** Of sequences that begin. */
  #commonHitRate = 1;
  #draftedTokens = 0;
  #acceptedTokens = 0;

  constructor(options: Pick<FilledOptions, 'draftTokens' | 'drafter'>, blocks: BlockManager) {
    this.#options = options;
    this.#blocks = blocks;
  }

  get stats(): Pick<SchedulerStats, 'draftedTokens' | 'acceptedTokens'> {
    return { draftedTokens: this.#draftedTokens, acceptedTokens: this.#acceptedTokens };
  }

  /**
   * The next step of a sequence that decodes beside `others`: its newest token, and what may follow it or, where a model is to
   * guess that, room for it. Nobody gives blocks back for guesses.
   */
  entryOf(sequence: Sequence, others: number, draftLength: DraftLength): BatchEntry {
    const mayGuess = (count: number): boolean =>
      count > 0 && this.#blocks.grow(sequence.blockTable, sequence.tokens.length + count);
    if (this.#options.drafter === 'text') {
      const drafts = this.#guess(sequence, others);
      return decodeEntryOf(sequence, mayGuess(drafts.length) ? drafts : []);
    }
    const room = this.#room(sequence, others, draftLength);
    return { ...decodeEntryOf(sequence, []), ...(mayGuess(room) && { room }) };
  }

  /** Tokens that may follow, looked up in the sequence; none where guessing would be a loss. */
  #guess(sequence: Sequence, others: number): readonly number[] {
    const most = this.#mostOf(sequence, others);
    if (most < 1) return [];
    const record = this.#recordOf(sequence);
    if (record.hitRate < LEAST_HIT_RATE && ++record.waited < SELDOM) return [];
    record.waited = 0;
    return promptLookup(sequence.tokens, most);
  }

  /** How many tokens a model may guess to follow. */
  #room(sequence: Sequence, others: number, draftLength: DraftLength): number {
    const most = this.#mostOf(sequence, others);
    return most < 1 ? 0 : draftLength(this.#recordOf(sequence).hitRate, others + 1, most);
  }

  /** Takes in how many of an entry's guesses were right. */
  learn({ sequence, drafts }: BatchEntry, right: number): void {
    if (drafts === undefined) return;
    this.#draftedTokens += drafts.length;
    this.#acceptedTokens += right;
    // After a guess that was wrong, the others were about another text.
    const rate = right / Math.min(drafts.length, right + 1);
    const record = this.#recordOf(sequence);
    record.hitRate += LEARNING * (rate - record.hitRate);
    this.#commonHitRate += COMMON_LEARNING * (rate - this.#commonHitRate);
  }

  #mostOf(sequence: Sequence, others: number): number {
    const room = Math.floor(MAX_ROWS / (others + 1)) - 1;
    const left = sequence.maxTokens - sequence.outputLen - 1;
    return Math.min(this.#options.draftTokens, room, left);
  }

  #recordOf(sequence: Sequence): Record {
    const known = this.#records.get(sequence);
    if (known !== undefined) return known;
    const fresh = { hitRate: this.#commonHitRate, waited: 0 };
    this.#records.set(sequence, fresh);
    return fresh;
  }
}
