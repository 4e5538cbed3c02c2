import assert from 'node:assert/strict';
import { FairShare } from './fair-share.js';
import type { Policy } from './policies/index.js';
import { compareRank, type Sequence } from './sequence.js';

/** Of that many starts in a row, one is that of who has waited longest: no policy lets anybody starve. */
const STARTS_PER_OLDEST = 16;

/**
 * The sequences that have not started. First goes who ranks first by the policy; of those who rank alike, whose client has
 * been served least; of one client's, who came first.
 */
export class WaitingLine {
  readonly share = new FairShare();
  readonly #policy: Policy;
  /** In order of arrival. */
  readonly #all = new Set<Sequence>();
  /** Of each client, by rank. */
  readonly #lines = new Map<string, Sequence[]>();
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

  /** By rank, those who rank alike as they came. */
  [Symbol.iterator](): Iterator<Sequence> {
    return [...this.#all].sort(compareRank).values();
  }

  add(sequence: Sequence): void {
    this.share.enter(sequence.client);
    sequence.rank = this.#policy.rank(sequence);
    sequence.arrival = this.#arrivals++;
    this.#all.add(sequence);
    const line = this.#lines.get(sequence.client) ?? [];
    line.splice(indexIn(line, sequence), 0, sequence);
    this.#lines.set(sequence.client, line);
  }

  /** False: it was not there. */
  delete(sequence: Sequence): boolean {
    if (!this.#all.delete(sequence)) return false;
    const line = this.#lines.get(sequence.client) ?? [];
    const index = indexIn(line, sequence);
    assert(line[index] === sequence, `sequence ${sequence.id} is not where its rank says`);
    line.splice(index, 1);
    if (line.length === 0) this.#lines.delete(sequence.client);
    return true;
  }

  /** Who starts next. */
  next(): Sequence | undefined {
    if (this.#overtakings >= STARTS_PER_OLDEST - 1) return this.#oldest;
    let best: Sequence | undefined;
    for (const [first] of this.#lines.values())
      if (first !== undefined && (best === undefined || this.#compare(first, best) < 0)) best = first;
    return best;
  }

  /** It starts now; what of its prompt is not in the cache is charged. */
  start(sequence: Sequence): void {
    this.#overtakings = sequence === this.#oldest ? 0 : this.#overtakings + 1;
    this.delete(sequence);
    this.#policy.onStart?.(sequence.rank);
    this.share.chargePrompt(sequence.client, sequence.remainingLen);
  }

  get #oldest(): Sequence | undefined {
    return this.#all.values().next().value;
  }

  #compare(a: Sequence, b: Sequence): number {
    const served = this.share.servedOf(a.client) - this.share.servedOf(b.client);
    return a.rank - b.rank || served || a.arrival - b.arrival;
  }
}

/** Where a sequence is in a line, or belongs: by halving. */
function indexIn(line: readonly Sequence[], sequence: Sequence): number {
  let [low, high] = [0, line.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareRank(line[middle] as Sequence, sequence) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
