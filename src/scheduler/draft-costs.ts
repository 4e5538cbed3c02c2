import type { Batch } from './batch.js';
import type { DraftLength } from './drafting.js';

/** How much the newest step counts against those before it. */
const NEWEST = 0.2;
/** The first steps of a size also plan memory, so only the fastest of that many says what one takes. */
const FIRST_STEPS = 3;
/** A step that takes more times as long as those before it was held up by something else. */
const HELD_UP = 2;
/** Of so many steps one is of the other sort, with guesses or without: what they take may have changed. */
const TRIAL = 64;

/** Milliseconds of something, measured again and again. */
class Measured {
  #count = 0;
  #ms = 0;

  get ms(): number | undefined {
    return this.#count < FIRST_STEPS ? undefined : this.#ms;
  }

  take(ms: number): void {
    if (this.#count++ === 0) this.#ms = ms;
    else if (this.#count <= FIRST_STEPS) this.#ms = Math.min(this.#ms, ms);
    else this.#ms += NEWEST * (Math.min(ms, HELD_UP * this.#ms) - this.#ms);
  }
}

/** Those of all sizes. */
class BySize {
  readonly #sizes = new Map<number, Measured>();

  take(size: number, ms: number): void {
    const measured = this.#sizes.get(size) ?? new Measured();
    this.#sizes.set(size, measured);
    measured.take(ms);
  }

  /** Of that size or, where it was hardly seen, of the nearest smaller one. */
  about(size: number): number | undefined {
    for (let at = size; at >= 1; at--) {
      const ms = this.#sizes.get(at)?.ms;
      if (ms !== undefined) return ms;
    }
    return undefined;
  }

  of(size: number): number | undefined {
    return this.#sizes.get(size)?.ms;
  }
}

/** What a model's guesses took before a step. */
export interface DraftTimes {
  readonly ms: number;
  /** Steps of the model, one after another. */
  readonly passes: number;
  /** It had nothing else to compute than those guesses. */
  readonly isSteady: boolean;
}

/**
 * What guessing ahead costs and brings, measured from the steps so far: so it is done as far as it pays, on whatever machine
 * and with whatever pair of models, and not at all where it would be a loss.
 */
export class DraftCosts {
  /** Steps that only decode, by their sequences. */
  readonly #plain = new BySize();
  /** Steps with guesses, by their rows. */
  readonly #verifying = new BySize();
  /** One step of the draft model, by its sequences. */
  readonly #guessing = new BySize();
  /** Steps of one sort in a row. */
  #streak = 0;
  #isGuessing = false;
  /** What all steps took, and what they would have taken without guesses. */
  #spentMs = 0;
  #plainMs = 0;

  /** How many times faster sequences decoded than they would have without guesses; 1 before anything was measured. */
  get speedUp(): number {
    return this.#spentMs > 0 ? this.#plainMs / this.#spentMs : 1;
  }

  /** The length of guesses that brings the most tokens per millisecond. What was hardly measured is taken for cheap, and so measured soon. */
  readonly draftLength: DraftLength = (hitRate, sequences, most) => {
    const plain = this.#plain.of(sequences);
    if (plain === undefined) return 0;
    const isTrial = this.#streak >= TRIAL;
    if (isTrial && this.#isGuessing) return 0;
    let [best, rate] = [0, isTrial ? 0 : 1 / plain];
    for (let length = 1; length <= most; length++) {
      const verifying = this.#verifying.about(sequences * (1 + length)) ?? plain;
      const ms = Math.max(plain, verifying) + length * (this.#guessing.about(sequences) ?? 0);
      const tokens = tokensOf(hitRate, length);
      if (tokens / ms > rate) [best, rate] = [length, tokens / ms];
    }
    return best;
  };

  /** A step as it was run, and how many tokens it brought. Only where everybody decodes it says what decoding takes. */
  observe({ entries }: Batch, isDecode: boolean, ms: number, tokens: number, guesses?: DraftTimes): void {
    const rows = entries.reduce((sum, { count }) => sum + count, 0);
    const guessMs = guesses?.ms ?? 0;
    if (guesses && guesses.passes > 0 && guesses.isSteady)
      this.#guessing.take(entries.filter(({ drafts }) => drafts).length, guessMs / guesses.passes);
    if (!isDecode) return;
    const isGuessing = rows > entries.length;
    this.#streak = isGuessing === this.#isGuessing ? this.#streak + 1 : 1;
    this.#isGuessing = isGuessing;
    if (isGuessing) this.#verifying.take(rows, ms);
    else this.#plain.take(entries.length, ms);
    const plain = this.#plain.of(entries.length);
    if (plain === undefined) return;
    this.#spentMs += ms + guessMs;
    this.#plainMs += isGuessing ? (plain * tokens) / entries.length : ms;
  }
}

/** Tokens that a step brings on average: the right guesses up to the first wrong one, and one after them. */
function tokensOf(hitRate: number, length: number): number {
  let [sum, likelihood] = [1, 1];
  for (let i = 0; i < length; i++) {
    likelihood *= hitRate;
    sum += likelihood;
  }
  return sum;
}
