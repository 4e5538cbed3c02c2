import { DECODE } from '../graph/graph-kind.js';
import type { Batch } from './batch.js';

/** A step with prompts in it takes at most so many times as long as one that only decodes; the promise is 2, for 99 of 100. */
const STRETCH = 1.5;
/** Rows that products of matrices compute at once: one more row than that costs as much as another band. */
const BAND = 32;
/** Bands of one step at most. */
const MAX_BANDS = 64;
/** Beside sequences that decode, weights are read anyway; fewer tokens would still read the whole cache of the prompt. */
const MIN_TOKENS = 8;
/** Sizes below a band are multiples of this. */
const GRAIN = 4;
/** How much the newest step counts against those before it. */
const NEWEST = 0.3;
/** What one step says counts as at most so many times what was expected: other programs take their time, too. */
const MAX_SURPRISE = 2;
/** The median of so many steps is what a step takes that only decodes. */
const REMEMBERED = 9;
/** Before anything was measured: attention to so many tokens takes a prompt token as long as the rest of it. */
const FIRST_DEPTH = 4000;

/**
 * How many prompt tokens a step may take beside `rows` rows of sequences that decode, if `depth` tokens of the prompt are in
 * the cache, and so many prompts for each of those sequences could be computed, had they all the time.
 */
export type PromptRoom = (rows: number, depth: number, promptsPerDecode: number) => number;

/** Nobody is made to wait. */
export const endlessRoom: PromptRoom = () => Number.POSITIVE_INFINITY;

/** Bands of a step; a part of the first is a part of the work, because decoding alone does not fill it. */
const bandsOf = (rows: number): number => (rows <= BAND ? rows / BAND : Math.ceil(rows / BAND));

/**
 * Measures what prompts add to the steps of sequences that decode, and lets them have so much of a step that these wait no
 * longer than STRETCH steps for their next token, on whatever machine. Where more prompts could begin than sequences decode,
 * they have as many times as much: few would decode for long, each step for next to nothing, while many wait. What `tokens` of a prompt add is a time for each band of
 * rows that they begin, and one for each pair of a token and one before it, of which attention has more the longer the
 * prompt is. Steps correct either time by its share of what was expected of them.
 */
export class PromptBudget {
  /** Milliseconds of the last steps that only decode. */
  readonly #decodes: number[] = [];
  #bandMs: number | undefined;
  #pairMs = 0;
  #hasWaited = false;

  /**
   * How many tokens may be taken: as many bands as fit are filled, or a part of one. None the first time, if no step has only
   * decoded yet, so that one does: under a load from the beginning none ever would.
   */
  readonly room: PromptRoom = (rows, depth, promptsPerDecode) => {
    if (this.#decodes.length === 0 && !this.#hasWaited) {
      this.#hasWaited = true;
      return 0;
    }
    const full = Math.ceil((rows + MIN_TOKENS) / BAND);
    const bandMs = this.#bandMs;
    if (bandMs === undefined) return full * BAND - rows;
    const affordableMs = (STRETCH - 1) * this.#decodeMs * Math.max(1, promptsPerDecode);
    const isAffordable = (tokens: number): boolean =>
      bandMs * addedBands(rows, tokens) + this.#pairMs * pairsOf(depth, tokens) <= affordableMs;
    for (let bands = MAX_BANDS; bands >= full; bands--)
      if (isAffordable(bands * BAND - rows)) return bands * BAND - rows;
    for (let tokens = full * BAND - rows; tokens > MIN_TOKENS; tokens -= GRAIN)
      if (isAffordable(tokens)) return tokens;
    return MIN_TOKENS;
  };

  /** A step as it was run. */
  observe({ kind, entries }: Batch, durationMs: number): void {
    if (kind === DECODE) {
      this.#decodes.push(durationMs);
      if (this.#decodes.length > REMEMBERED) this.#decodes.shift();
      return;
    }
    const prompts = entries.filter(({ count, drafts }) => count > 1 && !drafts);
    // Nor do encoders belong to what a token takes.
    if (entries.some(({ encodes }) => encodes)) return;
    // Without anybody who decodes, a step says nothing about what is added to one that does.
    if (this.#decodes.length === 0 || prompts.length === 0 || prompts.length === entries.length) return;
    const tokens = prompts.reduce((sum, { count }) => sum + count, 0);
    const rows = entries.reduce((sum, { count }) => sum + count, 0) - tokens;
    const bands = addedBands(rows, tokens);
    const pairs = prompts.reduce((sum, { start, count }) => sum + pairsOf(start, count), 0);
    const addedMs = Math.max(durationMs - this.#decodeMs, 1e-3);
    if (this.#bandMs === undefined) {
      this.#bandMs = addedMs / (bands + pairs / (BAND * FIRST_DEPTH));
      this.#pairMs = this.#bandMs / (BAND * FIRST_DEPTH);
      return;
    }
    const [ofBands, ofPairs] = [this.#bandMs * bands, this.#pairMs * pairs];
    const expectedMs = ofBands + ofPairs;
    const surprise = Math.min(addedMs / expectedMs, MAX_SURPRISE) - 1;
    this.#bandMs *= 1 + NEWEST * surprise * (ofBands / expectedMs);
    this.#pairMs *= 1 + NEWEST * surprise * (ofPairs / expectedMs);
  }

  get #decodeMs(): number {
    return this.#decodes.toSorted((a, b) => a - b)[this.#decodes.length >> 1] ?? 0;
  }
}

const addedBands = (rows: number, tokens: number): number => bandsOf(rows + tokens) - bandsOf(rows);

/** A token and each before it: `tokens` of them behind `depth` others. */
const pairsOf = (depth: number, tokens: number): number => tokens * (depth + tokens / 2);
