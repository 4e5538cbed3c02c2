import { expect } from 'chai';
import { AtbError } from '../../src/errors.js';
import { PREFILL } from '../../src/graph/graph-kind.js';
import { BlockManager } from '../../src/kv-cache/block-manager.js';
import type { Batch } from '../../src/scheduler/batch.js';
import type { SchedulerOptions } from '../../src/scheduler/limits.js';
import type { PolicyName } from '../../src/scheduler/policies/index.js';
import { Scheduler } from '../../src/scheduler/scheduler.js';
import { Sequence, type SequenceOptions } from '../../src/scheduler/sequence.js';
import { FakeEngine, tokensAlone } from './fake-engine.js';

const DEFAULTS: SchedulerOptions = {
  maxBatchSize: 4,
  maxPrefillTokens: 64,
  maxModelLen: 256,
  chunkedPrefill: false,
};

class Bench {
  readonly blocks: BlockManager;
  readonly scheduler: Scheduler;
  readonly engine: FakeEngine;
  #nextId = 0;

  constructor(options: Partial<SchedulerOptions> = {}, numBlocks = 64, blockSize = 4) {
    this.blocks = new BlockManager({ numBlocks, blockSize });
    this.scheduler = new Scheduler({ ...DEFAULTS, ...options }, this.blocks);
    this.engine = new FakeEngine(this.blocks);
  }

  add(promptLen: number, maxTokens: number, of: Partial<SequenceOptions> = {}): Sequence {
    const id = this.#nextId;
    const promptTokens = Array.from({ length: promptLen }, (_, i) => (id * 31 + i * 7) % 1000);
    return this.addPrompt(promptTokens, maxTokens, of);
  }

  addPrompt(promptTokens: number[], maxTokens: number, of: Partial<SequenceOptions> = {}): Sequence {
    const sequence = new Sequence({ id: this.#nextId++, promptTokens, maxTokens, ...of });
    this.scheduler.add(sequence);
    return sequence;
  }

  step(): Batch {
    const batch = this.scheduler.schedule();
    if (batch === undefined) throw new Error('nothing to do');
    this.scheduler.postprocess(batch, this.engine.run(batch));
    return batch;
  }

  drain(): Batch[] {
    const batches: Batch[] = [];
    while (this.scheduler.hasWork) batches.push(this.step());
    return batches;
  }
}

function shape(batch: Batch): unknown {
  return [batch.kind.name, ...batch.entries.map(({ sequence, start, count }) => [sequence.id, start, count])];
}

function codeOf(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    if (error instanceof AtbError) return error.code;
    throw error;
  }
  return undefined;
}

function expectAlone(sequence: Sequence): void {
  const prompt = sequence.tokens.slice(0, sequence.promptLen);
  expect(sequence.outputTokens).to.deep.equal(tokensAlone(prompt, sequence.maxTokens));
}

describe('Scheduler', () => {
  it('packs waiting prompts into one prefill step and then decodes them together', () => {
    const bench = new Bench();
    bench.add(5, 3);
    bench.add(7, 3);
    expect(shape(bench.step())).to.deep.equal(['prefill', [0, 0, 5], [1, 0, 7]]);
    expect(shape(bench.step())).to.deep.equal(['decode', [0, 5, 1], [1, 7, 1]]);
  });

  it('lets a waiting sequence in at the very step after another leaves', () => {
    const bench = new Bench({ maxBatchSize: 2 });
    bench.add(3, 2);
    bench.add(3, 5);
    const third = bench.add(3, 2);
    bench.step();
    expect(third.status).to.equal('waiting');
    bench.step();
    expect(shape(bench.step())).to.deep.equal(['prefill', [2, 0, 3]]);
    expect(shape(bench.step())).to.deep.equal(['decode', [1, 4, 1], [2, 3, 1]]);
  });

  it('keeps to the limits of a prefill step: sequences and tokens', () => {
    const few = new Bench({ maxPrefillBatchSize: 2 });
    for (let i = 0; i < 3; i++) few.add(4, 2);
    expect(few.step().entries).to.have.length(2);
    const short = new Bench({ maxPrefillTokens: 10 });
    for (let i = 0; i < 3; i++) short.add(5, 2);
    expect(short.step().entries).to.have.length(2);
  });

  it('does not let a short prompt overtake a long one that waits', () => {
    const bench = new Bench({ maxPrefillTokens: 10 });
    bench.add(6, 2);
    bench.add(9, 2);
    bench.add(1, 2);
    expect(shape(bench.step())).to.deep.equal(['prefill', [0, 0, 6]]);
    expect(shape(bench.step())).to.deep.equal(['prefill', [1, 0, 9], [2, 0, 1]]);
  });

  it('cuts a long prompt into chunks and decodes beside it when chunked prefill is on', () => {
    const bench = new Bench({ maxPrefillTokens: 8, chunkedPrefill: true });
    const first = bench.add(4, 6);
    bench.step();
    const long = bench.add(17, 2);
    const batch = bench.step();
    expect(shape(batch)).to.deep.equal(['splitfuse', [0, 4, 1], [1, 0, 7]]);
    expect(batch.entries.map(({ sample }) => sample)).to.deep.equal([true, false]);
    expect(shape(bench.step())).to.deep.equal(['splitfuse', [0, 5, 1], [1, 7, 7]]);
    expect(shape(bench.step())).to.deep.equal(['splitfuse', [0, 6, 1], [1, 14, 3]]);
    expect(shape(bench.step())).to.deep.equal(['decode', [0, 7, 1], [1, 17, 1]]);
    bench.drain();
    for (const sequence of [first, long]) expectAlone(sequence);
  });

  it('preempts the newest when blocks run out, and its tokens stay the same', () => {
    const bench = new Bench({ prefixCaching: false }, 6, 4);
    const old = bench.add(8, 12);
    const young = bench.add(8, 12);
    bench.step();
    const before = [...young.tokens];
    while (young.preemptions === 0) bench.step();
    expect(old.preemptions).to.equal(0);
    expect(young.tokens.slice(0, before.length)).to.deep.equal(before);
    expect(young.cachedLen).to.equal(0);
    const batches = bench.drain();
    for (const sequence of [old, young]) expectAlone(sequence);
    const [again] = batches.filter(({ kind }) => kind === PREFILL);
    expect(again?.entries[0]?.count).to.be.greaterThan(young.promptLen);
    expect(bench.blocks.freeBlocks).to.equal(6);
  });

  it('brings a preempted sequence back only when another has ended', () => {
    const bench = new Bench({}, 6, 4);
    const old = bench.add(8, 12);
    const young = bench.add(8, 12);
    while (young.preemptions === 0) bench.step();
    while (old.status === 'running') {
      expect(young.status).to.equal('waiting');
      bench.step();
    }
    bench.drain();
    expect(young.preemptions).to.equal(1);
  });

  it('computes a preempted sequence in chunks when it has outgrown a prefill step', () => {
    const bench = new Bench({ maxPrefillTokens: 9 }, 6, 4);
    const old = bench.add(8, 14);
    const young = bench.add(8, 12);
    const phases = bench.drain().map(({ kind }) => kind.name);
    expect(young.preemptions).to.equal(1);
    expect(phases).to.include('splitfuse');
    for (const sequence of [old, young]) expectAlone(sequence);
  });

  it('starts a sequence only when its first new token has a block too', () => {
    const bench = new Bench({}, 3, 4);
    const [first, second] = [bench.add(4, 3), bench.add(4, 3)];
    expect(bench.step().entries).to.have.length(1);
    bench.drain();
    expect([first.preemptions, second.preemptions]).to.deep.equal([0, 0]);
  });

  it('lets a sequence that needs every block run to its end', () => {
    const bench = new Bench({}, 4, 4);
    const sequence = bench.add(9, 8);
    bench.drain();
    expectAlone(sequence);
    expect(sequence.finishReason).to.equal('length');
  });

  it('refuses what could never end, before work starts', () => {
    const bench = new Bench({ maxModelLen: 24 }, 5, 4);
    expect(codeOf(() => bench.add(12, 12))).to.equal('REQUEST_TOO_LONG'); // 23 tokens, but the cache holds 20
    expect(codeOf(() => bench.add(12, 9))).to.equal(undefined);
    expect(codeOf(() => bench.add(0, 1))).to.equal('REQUEST_INVALID');
    expect(codeOf(() => bench.add(3, 0))).to.equal('REQUEST_INVALID');
    expect(codeOf(() => bench.add(3, 1.5))).to.equal('REQUEST_INVALID');
  });

  it('counts prompt and new tokens against the model length: at it is fine, one beyond is refused', () => {
    const bench = new Bench({ maxModelLen: 24 });
    expect(codeOf(() => bench.add(22, 1))).to.equal(undefined);
    expect(codeOf(() => bench.add(22, 2))).to.equal(undefined);
    expect(codeOf(() => bench.add(22, 3))).to.equal('REQUEST_TOO_LONG');
  });

  it('refuses a prompt longer than a prefill step unless prompts may be cut', () => {
    expect(codeOf(() => new Bench({ maxPrefillTokens: 10 }).add(11, 1))).to.equal('REQUEST_TOO_LONG');
    const chunked = new Bench({ maxPrefillTokens: 10, chunkedPrefill: true });
    expect(codeOf(() => chunked.add(11, 1))).to.equal(undefined);
  });

  it('refuses limits that make no sense', () => {
    for (const bad of [
      { maxBatchSize: 0 },
      { maxPrefillTokens: -1 },
      { maxModelLen: Number.NaN },
      { maxPrefillBatchSize: 1.5 },
    ]) {
      expect(codeOf(() => new Bench(bad))).to.equal('REQUEST_INVALID');
    }
    expect(codeOf(() => new Bench({ maxPrefillTokens: 3, chunkedPrefill: true }))).to.equal(
      'REQUEST_INVALID',
    );
  });

  it('ends a sequence when the stop check says so, with its reason', () => {
    const bench = new Bench();
    const sequence = bench.add(3, 9);
    const batch = bench.scheduler.schedule() as Batch;
    const finished = bench.scheduler.postprocess(batch, [42], (s) =>
      s.tokens.at(-1) === 42 ? 'stop' : undefined,
    );
    expect(finished).to.deep.equal([sequence]);
    expect([sequence.finishReason, sequence.outputTokens]).to.deep.equal(['stop', [42]]);
    expect(bench.blocks.usedBlocks).to.equal(0);
  });

  it('ends only the sequence whose logits were not finite', () => {
    const bench = new Bench();
    const [sick, healthy] = [bench.add(3, 4), bench.add(3, 4)];
    const batch = bench.scheduler.schedule() as Batch;
    expect(bench.scheduler.postprocess(batch, [-2, 7])).to.deep.equal([sick]);
    expect([sick.finishReason, sick.outputLen]).to.deep.equal(['error', 0]);
    expect([healthy.status, healthy.outputTokens]).to.deep.equal(['running', [7]]);
  });

  it('ends the sequences of a failed step and goes on with the others', () => {
    const bench = new Bench({ maxBatchSize: 1 });
    const [first, second] = [bench.add(3, 4), bench.add(3, 4)];
    expect(bench.scheduler.fail(bench.scheduler.schedule() as Batch)).to.deep.equal([first]);
    bench.drain();
    expect([first.finishReason, second.finishReason]).to.deep.equal(['error', 'length']);
    expect(bench.blocks.usedBlocks).to.equal(0);
  });

  it('aborts in every state, once', () => {
    const bench = new Bench({ maxBatchSize: 2 }, 6, 4);
    const [old, young, waiting] = [bench.add(8, 12), bench.add(8, 12), bench.add(8, 4)];
    expect(bench.scheduler.abort(waiting)).to.equal(true);
    expect(bench.scheduler.abort(waiting)).to.equal(false);
    while (young.preemptions === 0) bench.step();
    expect(bench.scheduler.abort(young)).to.equal(true);
    bench.step();
    expect(bench.scheduler.abort(old)).to.equal(true);
    expect(bench.scheduler.hasWork).to.equal(false);
    expect(bench.scheduler.schedule()).to.equal(undefined);
    expect(bench.blocks.freeBlocks).to.equal(6);
    for (const { finishReason } of [old, young, waiting]) expect(finishReason).to.equal('abort');
  });

  it('takes a sequence as ended that was aborted while somebody looked at its new token', () => {
    const bench = new Bench();
    const [aborted, other] = [bench.add(3, 5), bench.add(3, 1)];
    const batch = bench.scheduler.schedule() as Batch;
    const finished = bench.scheduler.postprocess(batch, bench.engine.run(batch), (sequence) => {
      if (sequence === aborted) bench.scheduler.abort(sequence);
      return 'stop';
    });
    expect(finished).to.deep.equal([other]);
    expect([aborted.finishReason, other.finishReason]).to.deep.equal(['abort', 'stop']);
    expect(bench.blocks.usedBlocks).to.equal(0);
    expect(bench.scheduler.hasWork).to.equal(false);
  });

  it('keeps the blocks of an aborted sequence until the step that writes them is over', () => {
    const bench = new Bench();
    const sequence = bench.add(3, 4);
    const batch = bench.scheduler.schedule() as Batch;
    bench.scheduler.abort(sequence);
    expect(bench.blocks.usedBlocks).to.equal(1);
    expect(bench.scheduler.postprocess(batch, [5])).to.deep.equal([]);
    expect(bench.blocks.usedBlocks).to.equal(0);
    expect(sequence.outputLen).to.equal(0);
  });

  it('lets a running sequence decode although requests for one token keep coming', () => {
    const bench = new Bench({ maxBatchSize: 2, maxPrefillBatchSize: 1 });
    const long = bench.add(4, 20);
    let steps = 0;
    while (long.status !== 'finished' && steps < 1000) {
      bench.add(4, 1);
      bench.step();
      steps++;
    }
    expect(long.finishReason).to.equal('length');
    expect(steps).to.be.lessThan(3 * 20 + 3);
  });

  it('lets those of a lower priority number go first, and shorter ones with sjf', () => {
    const starts = (policy: PolicyName): number[] => {
      const bench = new Bench({ maxBatchSize: 1, policy });
      bench.add(5, 1, { priority: 2 });
      bench.add(9, 1, { priority: 0 });
      bench.add(3, 1, { priority: 1 });
      return bench.drain().map(({ entries }) => entries[0]?.sequence.id ?? -1);
    };
    expect(starts('fcfs')).to.deep.equal([0, 1, 2]);
    expect(starts('priority')).to.deep.equal([1, 2, 0]);
    expect(starts('sjf')).to.deep.equal([2, 0, 1]);
  });

  it('lets clients take turns with round_robin, however many requests one of them has queued', () => {
    const bench = new Bench({ maxBatchSize: 1, policy: 'round_robin' });
    for (let i = 0; i < 4; i++) bench.add(3, 1, { client: 'greedy' });
    bench.step();
    for (let i = 0; i < 2; i++) bench.add(3, 1, { client: 'modest' });
    const order = bench.drain().map(({ entries }) => entries[0]?.sequence.client);
    expect(order).to.deep.equal(['modest', 'greedy', 'modest', 'greedy', 'greedy']);
  });

  it('shares among clients of one rank what it computes: who brings less starts more', () => {
    const bench = new Bench({ maxBatchSize: 1 });
    for (let i = 0; i < 4; i++) bench.add(9, 2, { client: 'long' });
    for (let i = 0; i < 6; i++) bench.add(3, 1, { client: 'short' });
    const order = bench.drain().flatMap(({ entries }) => entries.map(({ sequence }) => sequence));
    const starts = [...new Set(order)].map(({ client, id }) => `${client}${id}`);
    // 9 tokens and 2 new ones weigh 13; 3 and 1 weigh 5.
    expect(starts).to.deep.equal([
      ...['long0', 'short4', 'short5', 'short6', 'long1', 'short7', 'short8', 'short9', 'long2', 'long3'],
    ]);
  });

  it('forgets what a client was served when it leaves, and saves up nothing for one that was away', () => {
    const bench = new Bench({ maxBatchSize: 1 });
    for (let i = 0; i < 3; i++) bench.add(9, 3, { client: 'a' });
    bench.step();
    bench.add(1, 1, { client: 'late' });
    bench.add(1, 1, { client: 'late' });
    bench.add(20, 1, { client: 'later' });
    const order = bench.drain().map(({ entries }) => entries[0]?.sequence.client);
    expect([...new Set(order)]).to.deep.equal(['a', 'late', 'later']);
    bench.add(1, 1, { client: 'new' });
    bench.add(1, 1, { client: 'a' });
    expect(bench.drain().map(({ entries }) => entries[0]?.sequence.client)).to.deep.equal(['new', 'a']);
  });

  it('lets nobody starve, whatever the policy: one start in sixteen is that of who has waited longest', () => {
    const bench = new Bench({ maxBatchSize: 1, policy: 'sjf' });
    const long = bench.add(9, 2);
    let numStarts = 0;
    while (long.status === 'waiting') {
      bench.add(1, 1);
      bench.step();
      numStarts++;
    }
    expect(numStarts).to.equal(16);
  });

  it('lets the sequence that ranks last give its blocks back, not the one that began last', () => {
    const bench = new Bench({ policy: 'priority' }, 6, 4);
    const humble = bench.add(8, 12, { priority: 1 });
    bench.step();
    const urgent = bench.add(8, 12, { priority: 0 });
    bench.drain();
    expect([humble.preemptions, urgent.preemptions]).to.deep.equal([1, 0]);
    for (const sequence of [humble, urgent]) expectAlone(sequence);
  });

  it('names those whose deadline has passed, whether they run or wait', () => {
    const bench = new Bench({ maxBatchSize: 1 });
    const running = bench.add(3, 9, { deadlineMs: 10 });
    const waiting = bench.add(3, 9, { deadlineMs: 20 });
    bench.add(3, 9);
    bench.step();
    expect(bench.scheduler.overdue(9)).to.deep.equal([]);
    expect(bench.scheduler.overdue(10)).to.deep.equal([running]);
    expect(bench.scheduler.overdue(20)).to.deep.equal([running, waiting]);
  });

  it('computes a beginning that another prompt had only once', () => {
    const bench = new Bench();
    const prompt = Array.from({ length: 19 }, (_, i) => i);
    const add = (tail: number, cacheSalt?: string) => bench.addPrompt([...prompt, tail], 2, { cacheSalt });
    add(100);
    bench.drain();
    const before = bench.engine.computedTokens;
    const second = add(101);
    bench.drain();
    // Four blocks of four are found; four tokens are computed, and the first new one.
    expect([second.reusedLen, bench.engine.computedTokens - before]).to.deep.equal([16, 5]);
    expectAlone(second);
    expect(add(101, 'of somebody else').reusedLen).to.equal(0);
    bench.drain();
    const { prefixQueriedTokens, prefixHitTokens } = bench.scheduler.stats;
    expect([prefixQueriedTokens, prefixHitTokens]).to.deep.equal([60, 16]);
  });

  it('waits for a beginning that another sequence is computing, and then computes only its own end', () => {
    const bench = new Bench({ maxPrefillTokens: 8, chunkedPrefill: true });
    const prompt = Array.from({ length: 16 }, (_, i) => i);
    const all = [1, 2, 3].map((tail) => bench.addPrompt([...prompt, 100 + tail], 2));
    bench.drain();
    expect(all.map(({ reusedLen }) => reusedLen)).to.deep.equal([0, 16, 16]);
    expect(bench.engine.computedTokens).to.equal(17 + 1 + 1 + 3);
    for (const sequence of all) expectAlone(sequence);
  });

  it('finds a finished answer when the next turn of its dialogue comes', () => {
    const bench = new Bench();
    const first = bench.add(10, 12);
    bench.drain();
    const second = bench.addPrompt([...first.tokens, 1, 2, 3], 2);
    bench.drain();
    expect(second.reusedLen).to.equal(20);
    expectAlone(second);
  });

  it('takes at most the budget of prompt tokens beside those that decode', () => {
    const bench = new Bench({ chunkedPrefill: true });
    bench.add(4, 6);
    bench.step();
    bench.add(40, 2);
    const batch = bench.scheduler.schedule(() => 16) as Batch;
    expect(shape(batch)).to.deep.equal(['splitfuse', [0, 4, 1], [1, 0, 16]]);
    bench.scheduler.postprocess(batch, bench.engine.run(batch));
    bench.drain();
    bench.add(40, 2);
    expect(shape(bench.scheduler.schedule(() => 16) as Batch)).to.deep.equal(['prefill', [2, 0, 40]]);
  });

  it('says beside how many rows a prompt would be computed, how deep it is, and how many prompts there are for each', () => {
    const bench = new Bench({ chunkedPrefill: true, maxBatchSize: 4, maxPrefillTokens: 40 });
    bench.add(4, 9);
    bench.step();
    for (let i = 0; i < 5; i++) bench.add(40, 2);
    const asked: number[][] = [];
    const step = (): void => {
      const batch = bench.scheduler.schedule((...of) => {
        asked.push(of);
        return 16;
      }) as Batch;
      bench.scheduler.postprocess(batch, bench.engine.run(batch));
    };
    step();
    step();
    // One decodes; of five prompts three fit beside it. The first is asked for again when what it found is known.
    expect(asked).to.deep.equal([
      [1, 0, 3],
      [1, 0, 3],
      [1, 16, 3],
    ]);
  });

  it('asks for the outcome of one step before the next', () => {
    const bench = new Bench();
    bench.add(3, 4);
    const batch = bench.scheduler.schedule() as Batch;
    expect(() => bench.scheduler.schedule()).to.throw(/has not been postprocessed/);
    bench.scheduler.postprocess(batch, [1]);
    expect(() => bench.scheduler.postprocess(batch, [1])).to.throw(/not the step in flight/);
  });
});
