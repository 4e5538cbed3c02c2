import type { SamplerOptions } from '../native/index.js';
import type { Guesses } from '../runner/draft-model.js';
import type { Batch, NewTokens } from '../scheduler/batch.js';
import { DraftCosts, type DraftTimes } from '../scheduler/draft-costs.js';
import type { DraftLength } from '../scheduler/drafting.js';
import type { Scheduler } from '../scheduler/scheduler.js';
import type { Sequence } from '../scheduler/sequence.js';
import { ignoringErrors } from './ignoring-errors.js';
import type { Drafter, StepReport } from './llm-engine-options.js';

/** A batch as it is computed, and what guessing took. */
export interface DraftedBatch {
  readonly batch: Batch;
  readonly guesses: DraftTimes | undefined;
}

/**
 * Guessing ahead, as the step loop sees it: measures what it costs, and ends it when the draft model fails, because answers
 * do not need it.
 */
export class Speculation {
  #drafter: Drafter | undefined;
  readonly #costs = new DraftCosts();
  readonly draftLength: DraftLength;

  /** @param draftLength what to do instead of measuring. */
  constructor(drafter: Drafter | undefined, draftLength: DraftLength | undefined) {
    this.#drafter = drafter;
    const given = draftLength ?? this.#costs.draftLength;
    this.draftLength = (...args) => (this.#drafter ? given(...args) : 0);
  }

  get speedUp(): number {
    return this.#costs.speedUp;
  }

  addSequence(sequence: Sequence, options: SamplerOptions): void {
    this.#attempt((drafter) => drafter.addSequence(sequence, options));
  }

  removeSequence(sequence: Sequence): void {
    // A draft model that was disposed has no samplers any more.
    ignoringErrors(() => this.#drafter?.removeSequence(sequence));
  }

  /** Asks the draft model about the entries that have room for guesses. */
  async draft(batch: Batch, scheduler: Scheduler): Promise<DraftedBatch> {
    const start = performance.now();
    if (!batch.entries.some(({ room }) => room)) return { batch, guesses: undefined };
    let guesses: Guesses | undefined;
    try {
      guesses = await this.#drafter?.guess(batch);
    } catch (error) {
      this.#giveUp(error);
    }
    if (!guesses) return { batch, guesses: undefined };
    const { drafts, ...times } = guesses;
    return {
      batch: scheduler.withDrafts(batch, drafts),
      guesses: { ...times, ms: performance.now() - start },
    };
  }

  /** A step as it was run. */
  observe({ batch, guesses }: DraftedBatch, durationMs: number, tokens: ArrayLike<NewTokens>): StepReport {
    const newTokens = Array.from(tokens)
      .flat()
      .filter((token) => token >= 0).length;
    const { kind, entries } = batch;
    const isDecode = entries.every(({ count, sample, drafts }) => sample && (count === 1 || drafts));
    this.#costs.observe(batch, isDecode, durationMs, newTokens, guesses);
    return {
      kind,
      sequences: entries.length,
      tokens: entries.reduce((sum, { count }) => sum + count, 0),
      newTokens,
      isDecode,
      durationMs: durationMs + (guesses?.ms ?? 0),
    };
  }

  #attempt(work: (drafter: Drafter) => void): void {
    try {
      if (this.#drafter) work(this.#drafter);
    } catch (error) {
      this.#giveUp(error);
    }
  }

  #giveUp(error: unknown): void {
    this.#drafter = undefined;
    const warning = 'the draft model failed; answers go on without it';
    process.emitWarning(error instanceof Error ? `${warning}: ${error.message}` : warning, 'DraftWarning');
  }
}
