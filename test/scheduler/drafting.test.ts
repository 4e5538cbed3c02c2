import { expect } from 'chai';
import fc from 'fast-check';
import { BlockManager } from '../../src/kv-cache/block-manager.js';
import { promptLookup } from '../../src/scheduler/prompt-lookup.js';
import { Scheduler } from '../../src/scheduler/scheduler.js';
import { Sequence } from '../../src/scheduler/sequence.js';
import { FakeEngine, tokensAlone } from './fake-engine.js';

/** So few tokens that guesses are often right. */
const VOCABULARY = 3;

describe('guessing ahead', () => {
  it('takes what followed the longest end of a text that stood before, at its latest place', () => {
    expect(promptLookup([1, 2, 3, 4, 5, 1, 2, 3], 4)).to.deep.equal([4, 5, 1, 2]);
    expect(promptLookup([1, 2, 9, 1, 2, 8, 1, 2], 1)).to.deep.equal([8]);
    expect(promptLookup([7, 1, 2, 3, 9, 1, 2, 8, 7, 1, 2, 3], 2)).to.deep.equal([9, 1]);
    expect(promptLookup([5, 5, 5, 5], 3)).to.deep.equal([5]);
    for (const tokens of [[], [1], [1, 2], [1, 2, 3, 4, 3]])
      expect(promptLookup(tokens, 3)).to.deep.equal([]);
  });

  it('never changes a token, in any company, with preemptions, chunks and shared beginnings', () => {
    let [drafted, accepted, saved, preempted] = [0, 0, 0, 0];
    const requests = fc.array(
      fc.record({
        prompt: fc.array(fc.nat(VOCABULARY - 1), { minLength: 1, maxLength: 20 }),
        maxTokens: fc.integer({ min: 1, max: 24 }),
      }),
      { minLength: 1, maxLength: 6 },
    );
    fc.assert(
      fc.property(
        requests,
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 12, max: 40 }),
        (given, most, numBlocks) => {
          const blocks = new BlockManager({ numBlocks, blockSize: 4 });
          const options = { maxBatchSize: 4, maxPrefillTokens: 8, maxModelLen: 48, chunkedPrefill: true };
          const scheduler = new Scheduler({ ...options, draftTokens: most }, blocks);
          const engine = new FakeEngine(blocks, VOCABULARY);
          const sequences = given.map(
            ({ prompt, maxTokens }, id) => new Sequence({ id, promptTokens: prompt, maxTokens }),
          );
          for (const sequence of sequences) scheduler.add(sequence);
          let decoded = 0;
          for (let batch = scheduler.schedule(); batch !== undefined; batch = scheduler.schedule()) {
            decoded += batch.entries.filter(({ sample, start }) => sample && start > 0).length;
            scheduler.postprocess(batch, engine.run(batch));
          }
          for (const { promptLen, tokens, maxTokens, outputTokens, preemptions } of sequences) {
            expect(outputTokens).to.deep.equal(
              tokensAlone(tokens.slice(0, promptLen), maxTokens, VOCABULARY),
            );
            saved += maxTokens;
            preempted += preemptions;
          }
          saved -= decoded;
          const { stats } = scheduler;
          drafted += stats.draftedTokens;
          accepted += stats.acceptedTokens;
          expect([stats.usedBlocks, stats.running]).to.deep.equal([0, 0]);
        },
      ),
      { numRuns: 400, seed: 2 },
    );
    expect(drafted).to.be.above(2000);
    expect(accepted).to.be.above(500);
    expect(saved).to.be.above(500);
    expect(preempted).to.be.above(10);
  });

  it('stops where a token ends the sequence, though more were right', () => {
    const blocks = new BlockManager({ numBlocks: 8, blockSize: 4 });
    const options = { maxBatchSize: 1, maxPrefillTokens: 64, maxModelLen: 32, chunkedPrefill: true };
    const scheduler = new Scheduler({ ...options, draftTokens: 4 }, blocks);
    const sequence = new Sequence({ id: 0, promptTokens: [1, 2, 3, 4, 1, 2], maxTokens: 9 });
    scheduler.add(sequence);
    let batch = scheduler.schedule();
    if (batch) scheduler.postprocess(batch, [3]);
    batch = scheduler.schedule();
    expect(batch?.entries[0]?.drafts).to.deep.equal([4, 1, 2, 3]);
    if (batch)
      scheduler.postprocess(batch, [[4, 1, 2, 3, 4]], ({ tokens }) =>
        tokens.at(-1) === 2 ? 'stop' : undefined,
      );
    expect(sequence.outputTokens).to.deep.equal([3, 4, 1, 2]);
    expect(sequence.finishReason).to.equal('stop');
    expect(blocks.usedBlocks).to.equal(0);
  });

  it('guesses less beside many others, and seldom where it is mostly wrong', () => {
    const blocks = new BlockManager({ numBlocks: 200, blockSize: 4 });
    const options = {
      maxBatchSize: 20,
      maxPrefillTokens: 999,
      maxModelLen: 400,
      chunkedPrefill: true,
      prefixCaching: false,
    };
    const scheduler = new Scheduler({ ...options, draftTokens: 5 }, blocks);
    const prompt = [1, 2, 1, 2, 1, 2];
    for (let id = 0; id < 20; id++) scheduler.add(new Sequence({ id, promptTokens: prompt, maxTokens: 20 }));
    const prompts = scheduler.schedule();
    if (prompts) scheduler.postprocess(prompts, new Array(20).fill(1));
    const decodes = scheduler.schedule();
    expect(decodes?.entries).to.have.length(20);
    expect(decodes?.entries.some(({ drafts }) => drafts)).to.equal(false);
    const alone = new Scheduler(
      { ...options, draftTokens: 5 },
      new BlockManager({ numBlocks: 99, blockSize: 4 }),
    );
    alone.add(new Sequence({ id: 0, promptTokens: prompt, maxTokens: 200 }));
    let guesses = 0;
    for (let step = 0; step < 60; step++) {
      const next = alone.schedule();
      if (next === undefined) break;
      const [entry] = next.entries;
      guesses += entry?.drafts ? 1 : 0;
      // The text goes on as before, but each guess is said to be wrong.
      const token = 1 + ((entry?.sequence.tokens.length ?? 0) % 2);
      alone.postprocess(next, [entry?.drafts ? [token] : token]);
    }
    expect(guesses).to.be.within(8, 20);
  });
});
