import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import type { Generation, GenerationResult } from '../../src/engine/generation.js';
import { LLMEngine } from '../../src/engine/llm-engine.js';
import type { StepRunner } from '../../src/engine/llm-engine-options.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { POLICY_NAMES } from '../../src/scheduler/policies/index.js';

const TINY_STORIES = join(import.meta.dirname, '../../../examples/models/tiny-stories');
/** `ATB_TEST_ALL=1` runs a hundred times as many. */
const SCHEDULES = process.env.ATB_TEST_ALL ? 10_000 : 100;
const NUM_REQUESTS = 24;
const PREEMPTIONS = SCHEDULES / 10;

/** Request i, whose prompt begins as those of other requests do. */
const promptOf = (i: number): number[] =>
  Array.from(
    { length: 20 + ((i * 13) % 90) },
    (_, at) => 3 + ((at * 29 + (at < 16 * (i % 6) ? 0 : i)) % 100),
  );

const requestOf = (i: number) => ({
  maxTokens: 3 + 3 * (i % 13),
  temperature: i % 4 === 0 ? 0 : 0.9,
  topP: 0.95,
  seed: 100 + i,
  repetitionPenalty: i % 5 === 0 ? 1.2 : 1,
  ignoreEos: true,
  logprobs: 2,
});

const bits = ({ tokens, logprobs }: GenerationResult) =>
  JSON.stringify([
    tokens,
    logprobs.map(({ logprob, topTokens, topLogprobs }) => [logprob, ...topTokens, ...topLogprobs]),
  ]);

const schedule = fc.record({
  maxBatchSize: fc.integer({ min: 1, max: 8 }),
  maxPrefillTokens: fc.integer({ min: 8, max: 160 }),
  chunkedPrefill: fc.boolean(),
  policy: fc.constantFrom(...POLICY_NAMES),
  prefixCaching: fc.boolean(),
  numBlocks: fc.integer({ min: 5, max: 12 }),
  requests: fc.array(
    fc.record({
      index: fc.nat(NUM_REQUESTS - 1),
      waitTurns: fc.nat(3),
      isAborted: fc.integer({ min: 0, max: 5 }).map((drawn) => drawn === 0),
      client: fc.constantFrom('a', 'b'),
      priority: fc.nat(2),
    }),
    { minLength: 2, maxLength: 10 },
  ),
});

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

describe('tokens and log-probs under random schedules', function () {
  this.timeout(3_600_000);
  let runner: ModelRunner;
  before(async () => {
    runner = await ModelRunner.load({ modelPath: TINY_STORIES, threads: 1, blockSize: 32, numBlocks: 20 });
  });
  after(() => runner.dispose());

  it(`are bit for bit those of each request alone (${SCHEDULES} schedules)`, async () => {
    const alone: string[] = [];
    const one = new LLMEngine(runner, {
      maxBatchSize: 1,
      maxPrefillTokens: 512,
      maxModelLen: 256,
      chunkedPrefill: false,
      prefixCaching: false,
    });
    for (let i = 0; i < NUM_REQUESTS; i++)
      alone.push(bits(await one.generate(promptOf(i), requestOf(i)).result));
    await one.dispose();
    const seen = { preemptions: 0, hits: 0, aborts: 0, answers: 0 };
    await fc.assert(
      fc.asyncProperty(schedule, async ({ requests, numBlocks, ...limits }) => {
        const few: StepRunner = {
          config: runner.config,
          blockSize: runner.blockSize,
          numBlocks,
          addSequence: (...args) => runner.addSequence(...args),
          removeSequence: (sequence) => runner.removeSequence(sequence),
          run: (batch) => runner.run(batch),
        };
        const maxPrefillTokens = limits.chunkedPrefill ? limits.maxPrefillTokens : 160;
        const engine = new LLMEngine(few, { ...limits, maxPrefillTokens, maxModelLen: 160 });
        const running: { index: number; generation: Generation }[] = [];
        for (const { index, waitTurns, isAborted, client, priority } of requests) {
          const generation = engine.generate(promptOf(index), requestOf(index), { client, priority });
          if (isAborted) {
            seen.aborts++;
            void turns(5 * waitTurns).then(() => generation.abort());
          } else running.push({ index, generation });
          await turns(waitTurns);
        }
        for (const { index, generation } of running) {
          if (bits(await generation.result) !== alone[index]) throw new Error(`request ${index} changed`);
          seen.answers++;
        }
        await engine.dispose();
        seen.preemptions += engine.stats.preemptions;
        seen.hits += engine.stats.prefixHitTokens;
        if (engine.stats.usedBlocks > 0) throw new Error('blocks are left over');
      }),
      { numRuns: SCHEDULES, seed: 3, endOnFailure: true },
    );
    expect(seen.preemptions).to.be.greaterThan(PREEMPTIONS);
    expect(seen.hits).to.be.greaterThan(SCHEDULES);
    expect(seen.aborts).to.be.greaterThan(SCHEDULES / 2);
    expect(seen.answers).to.be.greaterThan(3 * SCHEDULES);
  });
});
