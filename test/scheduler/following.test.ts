import { expect } from 'chai';
import fc from 'fast-check';
import { DECODE } from '../../src/graph/graph-kind.js';
import { BlockManager } from '../../src/kv-cache/block-manager.js';
import { Scheduler } from '../../src/scheduler/scheduler.js';
import { Sequence } from '../../src/scheduler/sequence.js';
import { FakeEngine, tokensAlone } from './fake-engine.js';

const limits = { maxBatchSize: 4, maxPrefillTokens: 12, maxModelLen: 60, chunkedPrefill: true };

describe('sequences that follow others', () => {
  it('go on in their blocks, each in a copy of the one that it writes into', () => {
    const blocks = new BlockManager({ numBlocks: 10, blockSize: 4 });
    const scheduler = new Scheduler({ ...limits, prefixCaching: false }, blocks);
    const engine = new FakeEngine(blocks);
    const step = () => {
      const batch = scheduler.schedule();
      if (batch) scheduler.postprocess(batch, engine.run(batch));
      return batch;
    };
    const prompt = [1, 2, 3, 4, 5, 6];
    const first = new Sequence({ id: 0, promptTokens: prompt, maxTokens: 1, keepsBlocks: true });
    scheduler.add(first);
    step();
    expect([first.status, first.blockTable.blocks.length, blocks.usedBlocks]).to.deep.equal([
      'finished',
      2,
      2,
    ]);
    const beams = [7, 8, 9].map(
      (token, i) =>
        new Sequence({
          id: 1 + i,
          promptTokens: [...prompt, token],
          maxTokens: 1,
          keepsBlocks: true,
          follows: first,
        }),
    );
    for (const beam of beams) scheduler.add(beam);
    const batch = step();
    expect(batch?.kind).to.equal(DECODE);
    expect(batch?.entries.map(({ start, count }) => [start, count])).to.deep.equal([
      [6, 1],
      [6, 1],
      [6, 1],
    ]);
    const [shared, written] = first.blockTable.blocks as [number, number];
    expect(batch?.copies?.filter((_, i) => i % 2 === 0)).to.deep.equal([written, written, written]);
    expect(new Set(beams.map(({ blockTable }) => blockTable.blocks[0]))).to.deep.equal(new Set([shared]));
    expect(new Set(beams.map(({ blockTable }) => blockTable.blocks[1])).size).to.equal(3);
    expect(blocks.usedBlocks).to.equal(5);
    // The last of those that hold a block writes into it as it is.
    scheduler.release(first);
    const [beam] = beams as [Sequence];
    const next = new Sequence({
      id: 9,
      promptTokens: [...beam.tokens.slice(0, 7), 3],
      maxTokens: 1,
      follows: beam,
    });
    scheduler.add(next);
    scheduler.release(beam);
    scheduler.add(new Sequence({ id: 10, promptTokens: [5], maxTokens: 1 }));
    for (const other of beams) scheduler.release(other);
    while (scheduler.hasWork) step();
    expect(blocks.usedBlocks).to.equal(0);
  });

  it('compute what any would alone, in any company, with blocks that are kept or were taken away', () => {
    let [followed, copied, preempted] = [0, 0, 0];
    const request = fc.record({
      /** The request that it follows, if there is one, and how many of its tokens it has. */
      follows: fc.nat(30),
      isRoot: fc.integer({ min: 0, max: 4 }).map((drawn) => drawn === 0),
      promptLen: fc.integer({ min: 1, max: 14 }),
      maxTokens: fc.integer({ min: 1, max: 6 }),
      keepsBlocks: fc.boolean(),
      isAborted: fc.integer({ min: 0, max: 9 }).map((drawn) => drawn === 0),
      releases: fc.boolean(),
      steps: fc.nat(3),
    });
    fc.assert(
      fc.property(
        fc.array(request, { minLength: 2, maxLength: 14 }),
        fc.integer({ min: 15, max: 24 }),
        fc.boolean(),
        fc.constantFrom(1, 3, 4),
        (requests, numBlocks, prefixCaching, blockSize) => {
          const blocks = new BlockManager({ numBlocks: numBlocks * (blockSize === 1 ? 4 : 1), blockSize });
          const scheduler = new Scheduler({ ...limits, prefixCaching }, blocks);
          const engine = new FakeEngine(blocks, 50);
          const step = (): void => {
            const batch = scheduler.schedule();
            if (!batch) return;
            copied += (batch.copies?.length ?? 0) / 2;
            scheduler.postprocess(batch, engine.run(batch));
          };
          const all: Sequence[] = [];
          for (const [
            id,
            { follows, isRoot, promptLen, maxTokens, keepsBlocks, isAborted, releases, steps },
          ] of requests.entries()) {
            const parent = isRoot ? undefined : all[follows % Math.max(1, all.length)];
            const isLong = parent && parent.tokens.length > 30;
            const promptTokens =
              parent?.status === 'finished' && !isLong
                ? [...parent.tokens.slice(0, Math.max(1, parent.cachedLen)), (id * 7) % 50]
                : Array.from({ length: promptLen }, (_, i) => (id * 13 + i) % 50);
            if (parent?.status === 'finished') followed++;
            const sequence = new Sequence({ id, promptTokens, maxTokens, keepsBlocks, follows: parent });
            scheduler.add(sequence);
            all.push(sequence);
            for (let i = 0; i < steps; i++) step();
            if (isAborted) scheduler.abort(sequence);
            if (releases) scheduler.release(parent);
          }
          for (let i = 0; scheduler.hasWork; i++) {
            if (i > 500) throw new Error('sequences do not end');
            step();
          }
          for (const sequence of all) {
            preempted += sequence.preemptions;
            scheduler.release(sequence);
            if (sequence.finishReason !== 'length') continue;
            const alone = tokensAlone(sequence.tokens.slice(0, sequence.promptLen), sequence.maxTokens, 50);
            expect(sequence.outputTokens).to.deep.equal(alone);
          }
          expect(blocks.usedBlocks).to.equal(0);
        },
      ),
      { numRuns: 1500, seed: 11 },
    );
    expect(followed).to.be.above(2000);
    expect(copied).to.be.above(400);
    expect(preempted).to.be.above(20);
  });
});
