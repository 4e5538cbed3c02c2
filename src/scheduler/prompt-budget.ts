import { DECODE } from '../graph/graph-kind.js';
import type { Batch } from './batch.js';

/** A step with prompts in it takes at most so many times as long as one that only decodes; the promise is 2, for 99 of 100. */
const STRETCH = 1.5;
/** Fewer tokens would read all weights for next to nothing. */
const MIN_TOKENS = 16;
/** Before anything was measured. */
const FIRST_TOKENS = 64;
/** How much the newest step counts against those before it. */
const NEWEST = 0.3;

const mixed = (before: number | undefined, newest: number): number =>
  before === undefined ? newest : before + NEWEST * (newest - before);

/**
 * How many prompt tokens a step may take beside sequences that decode, so that these wait no longer than STRETCH steps for
 * their next token, on whatever machine: measured from the steps so far. Powers of two, for which memory is planned once.
 */
export class PromptBudget {
  /** Milliseconds of a step that only decodes. */
  #decodeMs: number | undefined;
  /** Milliseconds that one prompt token adds to it. */
  #tokenMs: number | undefined;

  get tokens(): number {
    if (this.#decodeMs === undefined || this.#tokenMs === undefined) return FIRST_TOKENS;
    const affordable = ((STRETCH - 1) * this.#decodeMs) / Math.max(this.#tokenMs, 1e-6);
    return 2 ** Math.floor(Math.log2(Math.max(MIN_TOKENS, affordable)));
  }

  /** A step as it was run. */
  observe({ kind, entries }: Batch, durationMs: number): void {
    if (kind === DECODE) {
      this.#decodeMs = mixed(this.#decodeMs, durationMs);
      return;
    }
    const prompts = entries.filter(({ count, drafts }) => count > 1 && !drafts);
    const tokens = prompts.reduce((sum, { count }) => sum + count, 0);
    // Nor do encoders belong to what a token takes.
    if (entries.some(({ encodes }) => encodes)) return;
    // Without anybody who decodes, a step says nothing about what is added to one that does.
    if (this.#decodeMs === undefined || tokens === 0 || prompts.length === entries.length) return;
    this.#tokenMs = mixed(this.#tokenMs, Math.max(0, durationMs - this.#decodeMs) / tokens);
  }
}
