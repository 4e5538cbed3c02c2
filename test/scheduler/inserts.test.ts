import { expect } from 'chai';
import { DECODE, PREFILL, SPLITFUSE } from '../../src/graph/graph-kind.js';
import { BlockManager } from '../../src/kv-cache/block-manager.js';
import type { Insert } from '../../src/media/index.js';
import type { Batch } from '../../src/scheduler/batch.js';
import type { SchedulerOptions } from '../../src/scheduler/limits.js';
import { Scheduler } from '../../src/scheduler/scheduler.js';
import { Sequence } from '../../src/scheduler/sequence.js';

/** A picture of `count` tokens, of each of which an encoder computes `area` rows. */
function insert(start: number, count: number, key = 1, area = 4, isWhole = false): Insert {
  const rows = count * area;
  return {
    start,
    input: {
      data: new Float32Array(),
      rows,
      count,
      shape: [1, 1, rows],
      isWhole,
      key: new Int32Array(8).fill(key),
    },
  };
}

const OPTIONS: SchedulerOptions = {
  maxBatchSize: 4,
  maxPrefillTokens: 8,
  maxModelLen: 256,
  chunkedPrefill: true,
};

function world(options: Partial<SchedulerOptions> = {}, numBlocks = 64) {
  const blocks = new BlockManager({ numBlocks, blockSize: 4 });
  return new Scheduler({ ...OPTIONS, ...options }, blocks);
}

let nextId = 1;
const sequence = (promptLen: number, inserts: readonly Insert[], maxTokens = 2): Sequence =>
  new Sequence({ id: nextId++, promptTokens: Array<number>(promptLen).fill(7), maxTokens, inserts });

/** What a batch computes: of each entry where it starts, how many tokens, and the starts of what is encoded first. */
const shown = (batch: Batch | undefined) =>
  batch?.entries.map(({ start, count, encodes = [] }) => [start, count, ...encodes.map((one) => one.start)]);

/** The steps until all is done, at most 50. */
function steps(scheduler: Scheduler): Batch[] {
  const found: Batch[] = [];
  for (let batch = scheduler.schedule(); batch && found.length < 50; batch = scheduler.schedule()) {
    found.push(batch);
    scheduler.postprocess(
      batch,
      batch.entries.map(() => 3),
    );
  }
  return found;
}

describe('inserts and the scheduler', () => {
  it('are encoded once, in the step of their first tokens, and held until their last', () => {
    const scheduler = world();
    const one = sequence(24, [insert(2, 20)]);
    scheduler.add(one);
    const held: number[] = [];
    const found: unknown[] = [];
    for (let batch = scheduler.schedule(); batch; batch = scheduler.schedule()) {
      found.push(shown(batch));
      scheduler.postprocess(batch, [3]);
      held.push(one.encoded.size);
    }
    expect(found.slice(0, 3)).to.deep.equal([[[0, 8, 2]], [[8, 8]], [[16, 8]]]);
    expect(held.slice(0, 3)).to.deep.equal([1, 1, 0]);
  });

  it('bound the work of an encoder in one step, by cutting a prompt before what must wait', () => {
    const scheduler = world();
    // 8 tokens have 32 rows.
    scheduler.add(sequence(14, [insert(1, 3, 1, 10), insert(5, 3, 2, 10), insert(9, 2, 3, 10)]));
    const found = steps(scheduler).map(shown);
    expect(found.slice(0, 3)).to.deep.equal([[[0, 5, 1]], [[5, 4, 5]], [[9, 5, 9]]]);
  });

  it('take more than a step has where they are one thing, alone', () => {
    const scheduler = world();
    scheduler.add(sequence(6, [insert(0, 5, 1, 100)]));
    scheduler.add(sequence(6, [insert(0, 5, 2, 100)]));
    const found = steps(scheduler).map(shown);
    expect(found[0]).to.deep.equal([[0, 6, 0]]);
    expect(found[1]?.at(-1)).to.deep.equal([0, 6, 0]);
  });

  it('are not cut where their tokens see each other, and may be longer than a step beside no other prompt', () => {
    const scheduler = world();
    scheduler.add(sequence(24, [insert(3, 4, 1, 1, true), insert(7, 10, 2, 1, true)]));
    scheduler.add(sequence(3, []));
    const found = steps(scheduler).map(shown);
    expect(found.slice(0, 3)).to.deep.equal([
      [
        [0, 7, 3],
        [0, 1],
      ],
      [[7, 10, 7]],
      [
        [17, 7],
        [1, 1],
      ],
    ]);
  });

  it('let a prompt that may not be cut wait for a step of its own, and come together there', () => {
    const scheduler = world({ chunkedPrefill: false, maxPrefillTokens: 16 });
    scheduler.add(sequence(4, [insert(0, 3, 1, 10)]));
    scheduler.add(sequence(12, [insert(0, 3, 2, 40), insert(5, 3, 3, 40)]));
    const found = steps(scheduler);
    expect(found[0]?.kind).to.equal(PREFILL);
    expect(shown(found[0])).to.deep.equal([[0, 4, 0]]);
    expect(found.map(shown)).to.deep.include([[0, 12, 0, 5]]);
  });

  it('never decode: a prompt whose last token is no word goes through a graph that knows inserts', () => {
    const scheduler = world();
    scheduler.add(sequence(9, [insert(3, 6)]));
    const kinds = steps(scheduler).map(({ kind }) => kind);
    expect(kinds).to.deep.equal([SPLITFUSE, SPLITFUSE, DECODE]);
  });

  it('are encoded again when a sequence was preempted, and not when the cache has their tokens', () => {
    const scheduler = world({ prefixCaching: false }, 8);
    const [first, second] = [sequence(12, [insert(0, 10, 1)], 12), sequence(12, [insert(0, 10, 2)], 12)];
    scheduler.add(first);
    scheduler.add(second);
    const encodes = steps(scheduler).flatMap(({ entries }) =>
      entries.filter((entry) => entry.encodes).map((entry) => entry.sequence.id),
    );
    expect(second.preemptions).to.be.greaterThan(0);
    expect(encodes.filter((id) => id === second.id).length).to.equal(1 + second.preemptions);

    const cached = world();
    cached.add(sequence(13, [insert(0, 12)]));
    steps(cached);
    cached.add(sequence(13, [insert(0, 12)]));
    expect(steps(cached)[0]?.entries.map(({ start, encodes }) => [start, encodes])).to.deep.equal([
      [12, undefined],
    ]);
    cached.add(sequence(13, [insert(0, 12, 9)]));
    expect(shown(cached.schedule())).to.deep.equal([[0, 8, 0]]);
  });
});
