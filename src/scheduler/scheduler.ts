import assert from 'node:assert/strict';
import { DECODE, type GraphKind, PREFILL, SPLITFUSE } from '../graph/graph-kind.js';
import type { BlockManager } from '../kv-cache/block-manager.js';
import {
  type FilledOptions,
  fillOptions,
  type RequestLengths,
  refuseImpossible,
  type SchedulerOptions,
} from './limits.js';
import type { FinishReason, Sequence } from './sequence.js';

/** Tokens `[start, start + count)` of a sequence. */
export interface BatchEntry {
  readonly sequence: Sequence;
  readonly start: number;
  readonly count: number;
  /** Its last token's logits choose the next token; false for a chunk that is not the prompt's last. */
  readonly sample: boolean;
}

/** One step. Blocks for every entry's tokens are in its sequence's table. */
export interface Batch {
  /** The graph that computes it. */
  readonly kind: GraphKind;
  readonly entries: readonly BatchEntry[];
}

/**
 * Continuous batching, step by step: `schedule` says what to compute, `postprocess` takes the tokens. Pure: no clock,
 * no I/O, no native code, so the same calls give the same steps.
 *
 * Sequences start in order of arrival and nobody overtakes. When blocks run out, the newest running sequence gives
 * its blocks back, keeps its tokens and is computed anew later: the oldest always advances, hence everybody ends. It
 * comes back only when blocks for all of its tokens and one more are free, which takes another sequence's end: no thrash.
 */
export class Scheduler {
  readonly #blocks: BlockManager;
  readonly #options: FilledOptions;
  /** In order of arrival, as are all three together: running, preempted (from its end), waiting. */
  #running: Sequence[] = [];
  readonly #preempted: Sequence[] = [];
  readonly #waiting = new Set<Sequence>();
  #inFlight: Batch | undefined;
  /** Prefill steps in a row. */
  #prefillStreak = 0;
  #numPreemptions = 0;

  /** @throws REQUEST_INVALID when a limit makes no sense. */
  constructor(options: SchedulerOptions, blocks: BlockManager) {
    this.#options = fillOptions(options);
    this.#blocks = blocks;
  }

  get hasWork(): boolean {
    return this.#running.length + this.#preempted.length + this.#waiting.size > 0;
  }

  /** Sequences that hold blocks, oldest first. */
  get running(): readonly Sequence[] {
    return this.#running;
  }

  /** Sequences that hold none, in the order in which they will start. */
  get waiting(): readonly Sequence[] {
    return [...this.#preempted.toReversed(), ...this.#waiting];
  }

  /** Preemptions so far, of all sequences. */
  get numPreemptions(): number {
    return this.#numPreemptions;
  }

  /**
   * Refuses what `add` would refuse, before anybody copies the prompt.
   * @throws REQUEST_INVALID for an empty prompt or no new tokens, REQUEST_TOO_LONG for one that could never end
   */
  refuseImpossible(lengths: RequestLengths): void {
    refuseImpossible(lengths, this.#options, this.#blocks.numBlocks * this.#blocks.blockSize);
  }

  /**
   * Queues a new sequence.
   * @throws REQUEST_INVALID for an empty prompt or no new tokens, REQUEST_TOO_LONG for one that could never end.
   */
  add(sequence: Sequence): void {
    assert(
      sequence.status === 'waiting' && !this.#waiting.has(sequence),
      `sequence ${sequence.id} was added before`,
    );
    this.refuseImpossible(sequence);
    this.#waiting.add(sequence);
  }

  /**
   * Ends a sequence now, whatever its state. If it is part of the step in flight, its blocks stay until that step's
   * `postprocess`. False: it had ended already.
   */
  abort(sequence: Sequence): boolean {
    if (sequence.status === 'finished') return false;
    if (sequence.status === 'running') this.#running = this.#running.filter((other) => other !== sequence);
    else if (!this.#waiting.delete(sequence)) {
      const index = this.#preempted.indexOf(sequence);
      assert(index >= 0, `sequence ${sequence.id} was never added`);
      this.#preempted.splice(index, 1);
    }
    this.#finish(sequence, 'abort');
    return true;
  }

  /** The next step; undefined when there is nothing to do. Every step is answered before the next is asked for. */
  schedule(): Batch | undefined {
    assert(this.#inFlight === undefined, 'the step in flight has not been postprocessed');
    if (!this.hasWork) return undefined;
    const { chunkedPrefill, maxBatchSize } = this.#options;
    const entries: BatchEntry[] = [];
    // Prompts go first. A streak as long as the batch means that slots turn over without anybody decoding (requests
    // for one token each): then those that run get a step, or an endless stream would starve them.
    if (chunkedPrefill || this.#prefillStreak >= maxBatchSize) this.#addDecodes(entries);
    if (chunkedPrefill || entries.length === 0) this.#addPrefills(entries);
    this.#prefillStreak = entries.some((entry) => entry.count > 1 || entry.start === 0)
      ? this.#prefillStreak + 1
      : 0;
    if (entries.length === 0) this.#addDecodes(entries);
    assert(entries.length > 0, 'there is work, but nothing could be scheduled');
    for (const { sequence, count } of entries) sequence.scheduledLen = count;
    this.#inFlight = { kind: kindOf(entries), entries };
    return this.#inFlight;
  }

  /**
   * Takes the step's outcome: `tokens[i]` is entry i's next token, and is read only where it samples; a negative one
   * says that its logits were not finite. `stopReason` sees each sequence with its new token appended. Returns the
   * sequences that this step ended; they hold no blocks any more.
   */
  postprocess(
    batch: Batch,
    tokens: ArrayLike<number>,
    stopReason: (sequence: Sequence) => FinishReason | undefined = () => undefined,
  ): Sequence[] {
    assert(
      tokens.length >= batch.entries.length,
      `${tokens.length} tokens for ${batch.entries.length} entries`,
    );
    return this.#settle(batch, ({ sequence, count, sample }, index) => {
      sequence.cachedLen += count;
      if (!sample) return undefined;
      const token = tokens[index] as number;
      if (token < 0) return 'error';
      sequence.tokens.push(token);
      return stopReason(sequence) ?? (sequence.outputLen >= sequence.maxTokens ? 'length' : undefined);
    });
  }

  /** The step failed as a whole: its sequences end with `error`, the others go on. Returns those that it ended. */
  fail(batch: Batch): Sequence[] {
    return this.#settle(batch, () => 'error');
  }

  #settle(batch: Batch, outcome: (entry: BatchEntry, index: number) => FinishReason | undefined): Sequence[] {
    assert(batch === this.#inFlight, 'not the step in flight');
    this.#inFlight = undefined;
    const finished: Sequence[] = [];
    for (const [index, entry] of batch.entries.entries()) {
      const { sequence } = entry;
      sequence.scheduledLen = 0;
      if (isFinished(sequence)) {
        this.#blocks.release(sequence.blockTable);
        continue;
      }
      const reason = outcome(entry, index);
      // Whoever looked at the new token may have aborted the sequence.
      if (reason === undefined || isFinished(sequence)) continue;
      this.#finish(sequence, reason);
      finished.push(sequence);
    }
    if (finished.length > 0) this.#running = this.#running.filter(({ status }) => status === 'running');
    return finished;
  }

  /** One token of each running sequence whose prompt is in the cache, oldest first. */
  #addDecodes(entries: BatchEntry[]): void {
    // Preemption shortens #running from its end, while this walks from its start.
    for (let i = 0; i < this.#running.length; i++) {
      const sequence = this.#running[i] as Sequence;
      if (isDecoding(sequence) && this.#makeRoom(sequence)) entries.push(entryOf(sequence, 1));
    }
  }

  /** Prompts begun before, then those that start now. */
  #addPrefills(entries: BatchEntry[]): void {
    let budget = this.#options.maxPrefillTokens - entries.length;
    let numPrompts = 0;
    const take = (sequence: Sequence, count: number): void => {
      entries.push(entryOf(sequence, count));
      budget -= count;
      numPrompts++;
    };
    for (const sequence of this.#running) {
      const count = isDecoding(sequence) ? 0 : this.#chunkLen(sequence, budget);
      if (count > 0) take(sequence, count);
    }
    while (
      numPrompts < this.#options.maxPrefillBatchSize &&
      this.#running.length < this.#options.maxBatchSize
    ) {
      const sequence = this.#preempted.at(-1) ?? this.#waiting.values().next().value;
      if (sequence === undefined) return;
      const count = this.#chunkLen(sequence, budget);
      const wantedLen = Math.min(sequence.tokens.length + 1, sequence.maxCachedLen);
      if (count === 0 || !this.#blocks.grow(sequence.blockTable, wantedLen)) return;
      if (!this.#waiting.delete(sequence)) this.#preempted.pop();
      sequence.status = 'running';
      this.#running.push(sequence);
      take(sequence, count);
    }
  }

  /** Tokens of a prompt that this step computes; 0: it waits for the next. */
  #chunkLen(sequence: Sequence, budget: number): number {
    const { chunkedPrefill, maxPrefillTokens } = this.#options;
    const { remainingLen } = sequence;
    if (remainingLen <= budget) return remainingLen;
    // A preempted sequence may have outgrown every step; it is computed in chunks in any case.
    return chunkedPrefill || remainingLen > maxPrefillTokens ? Math.max(0, budget) : 0;
  }

  /** Gives `sequence` the block of its next token, from newer sequences if need be. False: it was the newest. */
  #makeRoom(sequence: Sequence): boolean {
    while (!this.#blocks.grow(sequence.blockTable, sequence.tokens.length)) {
      const newest = this.#running.pop();
      assert(newest !== undefined, 'a sequence that runs alone always has room');
      this.#blocks.release(newest.blockTable);
      newest.status = 'waiting';
      newest.cachedLen = 0;
      newest.preemptions++;
      this.#numPreemptions++;
      this.#preempted.push(newest);
      if (newest === sequence) return false;
    }
    return true;
  }

  #finish(sequence: Sequence, reason: FinishReason): void {
    sequence.status = 'finished';
    sequence.finishReason = reason;
    if (sequence.scheduledLen === 0) this.#blocks.release(sequence.blockTable);
  }
}

/** Asked anew after foreign code ran, which the type checker does not know of. */
function isFinished({ status }: Sequence): boolean {
  return status === 'finished';
}

/** Of a sequence that runs: everything but the newest token is in the cache. */
function isDecoding(sequence: Sequence): boolean {
  return sequence.remainingLen === 1;
}

function entryOf(sequence: Sequence, count: number): BatchEntry {
  return { sequence, start: sequence.cachedLen, count, sample: count === sequence.remainingLen };
}

/** Split-fuse where a prompt is cut into chunks, or somebody decodes beside it. */
function kindOf(entries: readonly BatchEntry[]): GraphKind {
  if (entries.every(({ start, sample }) => start === 0 && sample)) return PREFILL;
  return entries.every(({ count, sample }) => count === 1 && sample) ? DECODE : SPLITFUSE;
}
