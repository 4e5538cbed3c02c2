import assert from 'node:assert/strict';
import { FairShare } from './fair-share.js';
import type { Policy } from './policies/index.js';
import { compareRank, insertByRank, type Sequence } from './sequence.js';

/** Of that many starts in a row, one is that of who has waited longest: no policy lets anybody starve. */
const STARTS_PER_OLDEST = 16;

/**
 * The sequences that hold nothing. Those that were preempted come back first, by rank. Then starts who ranks first by the
 * policy; of those who rank alike, whose client has been served least; of one client's, who came first.
 */
export class WaitingLine {
  readonly share = new FairShare();
  readonly #policy: Policy;
  /** By rank. */
  readonly #preempted: Sequence[] = [];
  /** Those that have not started, in order of arrival. */
  readonly #all = new Set<Sequence>();
  /** Of each client, by rank. */
  readonly #lines = new Map<string, Sequence[]>();
  #arrivals = 0;
  #overtakings = 0;

  constructor(policy: Policy) {
    this.#policy = policy;
  }

  get size(): number {
    return this.#preempted.length + this.#all.size;
  }

  has(sequence: Sequence): boolean {
    return this.#all.has(sequence) || this.#preempted.includes(sequence);
  }

  /** Those that come back, then the others, by rank; who rank alike as they came. */
  [Symbol.iterator](): Iterator<Sequence> {
    return [...this.#preempted, ...[...this.#all].sort(compareRank)].values();
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

  /** It was preempted. */
  comeBack(sequence: Sequence): void {
    insertByRank(this.#preempted, sequence);
  }

  /** False: it was not there. */
  delete(sequence: Sequence): boolean {
    const at = this.#preempted.indexOf(sequence);
    if (at >= 0) return this.#preempted.splice(at, 1).length > 0;
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
    const [first] = this.#preempted;
    if (first) return first;
    if (this.#overtakings >= STARTS_PER_OLDEST - 1) return this.#oldest;
    let best: Sequence | undefined;
    for (const [own] of this.#lines.values())
      if (own !== undefined && (best === undefined || this.#compare(own, best) < 0)) best = own;
    return best;
  }

  /** It starts now, or again; what of its prompt is not in the cache is charged the first time. */
  start(sequence: Sequence): void {
    if (this.#preempted[0] === sequence) {
      this.#preempted.shift();
      return;
    }
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
