import assert from 'node:assert/strict';
import type { Policy } from './policies/index.js';
import { compareRank, type Sequence } from './sequence.js';

/** Of that many starts in a row, one is that of who has waited longest: no policy lets anybody starve. */
const STARTS_PER_OLDEST = 16;

/** The sequences that have not started, in the order of a policy. */
export class WaitingLine {
  readonly #policy: Policy;
  /** In order of arrival. */
  readonly #all = new Set<Sequence>();
  readonly #ranked: Sequence[] = [];
  #arrivals = 0;
  #overtakings = 0;

  constructor(policy: Policy) {
    this.#policy = policy;
  }

  get size(): number {
    return this.#all.size;
  }

  has(sequence: Sequence): boolean {
    return this.#all.has(sequence);
  }

  /** In the policy's order. */
  [Symbol.iterator](): Iterator<Sequence> {
    return this.#ranked.values();
  }

  add(sequence: Sequence): void {
    sequence.rank = this.#policy.rank(sequence);
    sequence.arrival = this.#arrivals++;
    this.#all.add(sequence);
    this.#ranked.splice(this.#indexOf(sequence), 0, sequence);
  }

  /** False: it was not there. */
  delete(sequence: Sequence): boolean {
    if (!this.#all.delete(sequence)) return false;
    const index = this.#indexOf(sequence);
    assert(this.#ranked[index] === sequence, `sequence ${sequence.id} is not where its rank says`);
    this.#ranked.splice(index, 1);
    return true;
  }

  /** Who starts next. */
  next(): Sequence | undefined {
    return this.#overtakings < STARTS_PER_OLDEST - 1 ? this.#ranked[0] : this.#oldest;
  }

  /** It starts now. */
  start(sequence: Sequence): void {
    this.#overtakings = sequence === this.#oldest ? 0 : this.#overtakings + 1;
    this.delete(sequence);
    this.#policy.onStart?.(sequence.rank);
  }

  get #oldest(): Sequence | undefined {
    return this.#all.values().next().value;
  }

  /** Where it is, or belongs: by halving. */
  #indexOf(sequence: Sequence): number {
    let [low, high] = [0, this.#ranked.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareRank(this.#ranked[middle] as Sequence, sequence) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
