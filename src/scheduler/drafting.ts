import type { BatchEntry } from './batch.js';
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
/** A sequence whose guesses are right less often than this guesses only now and then. */
const LEAST_HIT_RATE = 0.15;
const SELDOM = 16;

interface Record {
  hitRate: number;
  /** Steps that it has let pass. */
  waited: number;
}

/**
 * Guesses tokens ahead, so that one step may bring a sequence several: what is guessed right costs no step of its own.
 * Tokens are the same with it and without, because a guess is kept only where the model chooses that very token.
 */
export class Drafting {
  readonly #most: number;
  readonly #records = new WeakMap<Sequence, Record>();
  #draftedTokens = 0;
  #acceptedTokens = 0;

  /** @param most tokens of one guess; 0: none. */
  constructor(most: number) {
    this.#most = most;
  }

  get stats(): Pick<SchedulerStats, 'draftedTokens' | 'acceptedTokens'> {
    return { draftedTokens: this.#draftedTokens, acceptedTokens: this.#acceptedTokens };
  }

  /** Tokens that may follow a sequence that decodes beside `others`; none where guessing would be a loss. */
  guess(sequence: Sequence, others: number): readonly number[] {
    const room = Math.floor(MAX_ROWS / (others + 1)) - 1;
    const left = sequence.maxTokens - sequence.outputLen - 1;
    const most = Math.min(this.#most, room, left);
    if (most < 1) return [];
    const record = this.#recordOf(sequence);
    if (record.hitRate < LEAST_HIT_RATE && ++record.waited < SELDOM) return [];
    record.waited = 0;
    return promptLookup(sequence.tokens, most);
  }

  /** Takes in how many of an entry's guesses were right. */
  learn({ sequence, drafts }: BatchEntry, right: number): void {
    if (drafts === undefined) return;
    this.#draftedTokens += drafts.length;
    this.#acceptedTokens += right;
    const record = this.#recordOf(sequence);
    record.hitRate += LEARNING * (right / drafts.length - record.hitRate);
  }

  #recordOf(sequence: Sequence): Record {
    const known = this.#records.get(sequence);
    if (known !== undefined) return known;
    const fresh = { hitRate: 1, waited: 0 };
    this.#records.set(sequence, fresh);
    return fresh;
  }
}
