import assert from 'node:assert/strict';
import { type BlockManager, requireBlockManager } from '../kv-cache/block-manager.js';
import { type Batch, type BatchEntry, batchOf, type NewTokens, withDrafts } from './batch.js';
import { BlockRoom } from './block-room.js';
import { Drafting, type DraftLength, theMost } from './drafting.js';
import {
  type FilledOptions,
  fillOptions,
  type RequestLengths,
  refuseImpossible,
  type SchedulerOptions,
} from './limits.js';
import { policyOf } from './policies/index.js';
import { endlessRoom, type PromptRoom } from './prompt-budget.js';
import {
  type FinishReason,
  insertByRank,
  isDecoding,
  isFinished,
  type Sequence,
  settleEncoded,
  settlePreempted,
} from './sequence.js';
import type { SchedulerStats } from './stats.js';
import { StepBudget } from './step-budget.js';
import { WaitingLine } from './waiting-line.js';

/** So often a sequence may be preempted; then it comes back when every block that it may ever need is free, and keeps them. */
const MAX_PREEMPTIONS = 3;

/**
 * Continuous batching, step by step: `schedule` says what to compute, `postprocess` takes the tokens. Pure: no clock,
 * no I/O, no native code, so the same calls give the same steps.
 *
 * Sequences start in the order of a policy, and where that is indifferent, clients get equal shares. When blocks run out, the running sequence that ranks last gives its blocks
 * back, keeps its tokens and is computed anew later: the first always advances, hence everybody ends. It comes back, before
 * any new one, only when blocks for all of its tokens and one more are free, which takes another sequence's end: no thrash.
 * And nobody is preempted more than MAX_PREEMPTIONS times.
 */
export class Scheduler {
  readonly #blocks: BlockManager;
  readonly #room: BlockRoom;
  readonly #options: FilledOptions;
  /** By rank. */
  #running: Sequence[] = [];
  readonly #waiting: WaitingLine;
  #inFlight: Batch | undefined;
  /** Prefill steps in a row. */
  #prefillStreak = 0;
  #numPreemptions = 0;
  #queriedTokens = 0;
  #hitTokens = 0;
  readonly #drafting: Drafting;

  /** @throws REQUEST_INVALID when a limit makes no sense. */
  constructor(options: SchedulerOptions, blocks: BlockManager) {
    this.#options = fillOptions(options);
    this.#blocks = requireBlockManager('new Scheduler', blocks);
    this.#room = new BlockRoom(blocks, this.#options.prefixCaching);
    this.#drafting = new Drafting(this.#options, blocks);
    this.#waiting = new WaitingLine(policyOf(this.#options.policy));
  }

  get hasWork(): boolean {
    return this.#running.length + this.#waiting.size > 0;
  }

  /** Sequences that hold blocks, by rank. */
  get running(): readonly Sequence[] {
    return this.#running;
  }

  /** Sequences that hold none: those that come back first, then those that have not started, by rank. */
  get waiting(): readonly Sequence[] {
    return [...this.#waiting];
  }

  get stats(): SchedulerStats {
    const { usedBlocks, freeBlocks } = this.#blocks;
    return {
      running: this.#running.length,
      waiting: this.#waiting.size,
      preemptions: this.#numPreemptions,
      prefixQueriedTokens: this.#queriedTokens,
      prefixHitTokens: this.#hitTokens,
      ...this.#drafting.stats,
      ...{ usedBlocks, freeBlocks },
    };
  }

  /** Those whose deadline has passed. Their owner aborts them. */
  overdue(nowMs: number): Sequence[] {
    return [...this.#running, ...this.#waiting].filter(({ deadlineMs }) => deadlineMs <= nowMs);
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
    const isNew = sequence.status === 'waiting' && !this.#waiting.has(sequence);
    assert(isNew, `sequence ${sequence.id} was added before`);
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
    else assert(this.#waiting.delete(sequence), `sequence ${sequence.id} was never added`);
    this.#finish(sequence, 'abort');
    return true;
  }

  /** Nobody will follow a sequence that keeps its blocks any more. */
  release(sequence: Sequence | undefined): void {
    this.#room.release(sequence);
  }

  /**
   * The next step; undefined when there is nothing to do. Every step is answered before the next is asked for. Beside
   * sequences that decode, it takes at most as many tokens of prompts as `room` says: longer steps would make those wait.
   * How far a draft model guesses ahead, `draftLength` says.
   */
  schedule(room: PromptRoom = endlessRoom, draftLength: DraftLength = theMost): Batch | undefined {
    assert(this.#inFlight === undefined, 'the step in flight has not been postprocessed');
    if (!this.hasWork) return undefined;
    const { chunkedPrefill, maxBatchSize } = this.#options;
    const entries: BatchEntry[] = [];
    // Prompts go first. A streak as long as the batch means that slots turn over without anybody decoding (requests
    // for one token each): then those that run get a step, or an endless stream would starve them.
    if (chunkedPrefill || this.#prefillStreak >= maxBatchSize) this.#addDecodes(entries, draftLength);
    const numDecodes = entries.length;
    if (chunkedPrefill || numDecodes === 0) this.#addPrefills(entries, room);
    this.#prefillStreak = entries.length > numDecodes ? this.#prefillStreak + 1 : 0;
    if (entries.length === 0) this.#addDecodes(entries, draftLength);
    assert(entries.length > 0, 'there is work, but nothing could be scheduled');
    this.#inFlight = batchOf(entries, this.#room.takeCopies());
    return this.#inFlight;
  }

  /** The step to compute instead, with what a draft model guessed for each entry: at most its `room`. */
  withDrafts(batch: Batch, drafts: ReadonlyArray<readonly number[]>): Batch {
    assert(batch === this.#inFlight, 'not the step in flight');
    const entries = batch.entries.map((entry, index) => withDrafts(entry, drafts[index] ?? []));
    this.#inFlight = batchOf(entries, batch.copies);
    return this.#inFlight;
  }

  /**
   * Takes the step's outcome: `tokens[i]` is read where entry i samples; a negative token says that there is none.
   * `stopReason` sees each sequence with each new token appended, and which of the step's it is. Returns the sequences that
   * this step ended; they hold no blocks any more.
   */
  postprocess(
    batch: Batch,
    tokens: ArrayLike<NewTokens>,
    stopReason: (sequence: Sequence, index: number) => FinishReason | undefined = () => undefined,
  ): Sequence[] {
    assert(tokens.length >= batch.entries.length, 'a token for each entry');
    return this.#settle(batch, (entry, index) => {
      const { sequence, count, sample, drafts = [], encodes } = entry;
      sequence.cachedLen += count - drafts.length;
      settleEncoded(sequence, encodes);
      if (!sample) return undefined;
      const fresh = [tokens[index] as NewTokens].flat();
      this.#drafting.learn(entry, fresh.length - 1);
      for (const [at, token] of fresh.entries()) {
        if (token < 0) return 'error';
        // The draft before it was right, so its keys and values are those of the sequence.
        if (at > 0) sequence.cachedLen++;
        sequence.tokens.push(token);
        this.#waiting.share.chargeNew(sequence.client);
        const reason = stopReason(sequence, at);
        if (reason !== undefined || isFinished(sequence)) return reason;
        if (sequence.outputLen >= sequence.maxTokens) return 'length';
      }
      return undefined;
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
      if (reason !== 'error' && this.#options.prefixCaching && !isFinished(sequence))
        this.#blocks.publish(sequence.blockTable, sequence.tokens, sequence.cachedLen);
      // Whoever looked at the new token may have aborted the sequence.
      if (reason === undefined || isFinished(sequence)) continue;
      this.#finish(sequence, reason);
      finished.push(sequence);
    }
    if (finished.length > 0) this.#running = this.#running.filter(({ status }) => status === 'running');
    return finished;
  }

  /** One token of each running sequence whose prompt is in the cache, by rank. */
  #addDecodes(entries: BatchEntry[], draftLength: DraftLength): void {
    // Preemption takes away from #running, while this walks over it.
    const decoding = this.#running.filter(isDecoding);
    for (const sequence of decoding)
      if (sequence.status === 'running' && this.#makeRoom(sequence))
        entries.push(this.#drafting.entryOf(sequence, decoding.length - 1, draftLength));
  }

  /** Prompts begun before, then those that start now. */
  #addPrefills(entries: BatchEntry[], room: PromptRoom): void {
    const { maxPrefillTokens, maxPrefillBatchSize, maxBatchSize } = this.#options;
    const rows = entries.reduce((sum, { count }) => sum + count, 0);
    const budget = new StepBudget(maxPrefillTokens - rows, this.#options);
    const startable = Math.min(this.#waiting.size, maxBatchSize - this.#running.length);
    const perDecode = (this.#running.length + startable) / entries.length - 1;
    const narrow = (depth: number): void => {
      if (rows > 0) budget.narrow(room(rows, depth, perDecode));
    };
    narrow(this.#running.find((sequence) => !isDecoding(sequence))?.cachedLen ?? 0);
    let numPrompts = 0;
    const take = (sequence: Sequence, count: number): void => {
      entries.push(budget.take(sequence, count));
      numPrompts++;
    };
    for (const sequence of this.#running) {
      const count = isDecoding(sequence) ? 0 : budget.chunkLen(sequence);
      if (count > 0) take(sequence, count);
    }
    while (numPrompts < maxPrefillBatchSize && this.#running.length < maxBatchSize) {
      const sequence = this.#waiting.next();
      if (sequence === undefined || budget.isSpent || !this.#start(sequence, budget)) return;
      if (numPrompts === 0) narrow(sequence.cachedLen);
      take(sequence, budget.chunkLen(sequence));
    }
  }

  /** Gives it the blocks that it needs for now, those with its first tokens in them if there are. False: it must wait. */
  #start(sequence: Sequence, budget: StepBudget): boolean {
    const { tokens, maxCachedLen, preemptions } = sequence;
    const wantedLen =
      preemptions < MAX_PREEMPTIONS ? Math.min(tokens.length + 1, maxCachedLen) : maxCachedLen;
    if (!this.#room.admit(sequence, wantedLen, () => budget.chunkLen(sequence) > 0)) return false;
    sequence.reusedLen = sequence.cachedLen;
    this.#queriedTokens += tokens.length;
    this.#hitTokens += sequence.reusedLen;
    this.#waiting.start(sequence);
    sequence.status = 'running';
    insertByRank(this.#running, sequence);
    return true;
  }

  /** Gives `sequence` the block of its next token, from those that rank behind it if need be. False: it was the last. */
  #makeRoom(sequence: Sequence): boolean {
    while (!this.#room.grow(sequence.blockTable, sequence.tokens.length)) {
      const index = this.#running.findLastIndex(({ preemptions }) => preemptions < MAX_PREEMPTIONS);
      const [last] = this.#running.splice(index, 1);
      assert(index >= 0 && last !== undefined, 'a sequence that runs alone always has room');
      this.#blocks.release(last.blockTable);
      settlePreempted(last);
      this.#numPreemptions++;
      this.#waiting.comeBack(last);
      if (last === sequence) return false;
    }
    return true;
  }

  #finish(sequence: Sequence, reason: FinishReason): void {
    sequence.status = 'finished';
    sequence.finishReason = reason;
    this.#waiting.share.leave(sequence.client);
    if (sequence.scheduledLen > 0) return;
    if (reason === 'stop' || reason === 'length') this.#room.end(sequence);
    else this.#blocks.release(sequence.blockTable);
  }
}
