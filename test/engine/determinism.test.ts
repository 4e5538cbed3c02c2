import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { type BeamRunner, beamSearch } from '../../src/engine/beam-search.js';
import type { Generation, GenerationResult } from '../../src/engine/generation.js';
import { LLM } from '../../src/engine/llm.js';
import { LLMEngine } from '../../src/engine/llm-engine.js';
import type { StepRunner } from '../../src/engine/llm-engine-options.js';
import { samplingOf } from '../../src/engine/options.js';
import { DraftModel } from '../../src/runner/draft-model.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { POLICY_NAMES } from '../../src/scheduler/policies/index.js';

const MODELS = join(import.meta.dirname, '../../../examples/models');
const TINY_STORIES = join(MODELS, 'tiny-stories');
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

const GUIDE = { regex: '(?: the (?:cat|dog))+ sat' };
const isGuided = (i: number): boolean => i % 6 === 5;

const requestOf = (i: number) => ({
  maxTokens: (isGuided(i) ? 20 : 3) + 3 * (i % 13),
  temperature: i % 4 === 0 ? 0 : 0.9,
  topP: 0.95,
  seed: 100 + i,
  repetitionPenalty: i % 5 === 0 ? 1.2 : 1,
  // Of two tokens only, which stand everywhere in the text before.
  ...(i % 6 === 1 && { logitBias: { 40: 60, 41: 60 } }),
  ...(i % 6 === 2 && { suppressTokens: [40, 41] }),
  ignoreEos: !isGuided(i),
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
  /** Who guesses: nobody, the text, a smaller model, or the very model, which is never wrong. */
  guesses: fc.constantFrom('none', 'text', 'smaller', 'same'),
  draftTokens: fc.integer({ min: 1, max: 6 }),
  numBlocks: fc.integer({ min: 5, max: 12 }),
  /** Prompts whose beams are searched beside the requests. */
  beams: fc.array(fc.nat(2), { maxLength: 1 }),
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
  const loading = { threads: 1, blockSize: 32, numBlocks: 20 } as const;
  let llm: LLM;
  let runner: ModelRunner;
  let smaller: ModelRunner;
  let same: ModelRunner;
  before(async () => {
    llm = await LLM.load(TINY_STORIES, { threads: 1, blockSize: 32, maxNumSeqs: 4, maxModelLen: 160 });
    runner = llm.runner;
    smaller = await ModelRunner.load({ ...loading, modelPath: `${TINY_STORIES}-draft` });
    same = await ModelRunner.load({ ...loading, modelPath: TINY_STORIES });
  });
  after(async () => {
    await llm.dispose();
    smaller.dispose();
    same.dispose();
  });

  it(`are bit for bit those of each request alone (${SCHEDULES} schedules)`, async () => {
    const grammar = await llm.compileGuide(GUIDE);
    const guideOf = (i: number) => (isGuided(i) ? { grammar } : {});
    const beamsOf = async (engine: LLMEngine, i: number): Promise<string> => {
      const searching: BeamRunner = {
        ...{ engine, text: { ...llm.text, tokenizer: undefined }, decode: () => '' },
        startTokens: (tokens, options = {}) => engine.generate(tokens, ...samplingOf(options)),
      };
      const options = { beamWidth: 2 + i, maxTokens: 12, ignoreEos: i > 0 };
      return JSON.stringify(await beamSearch(searching, promptOf(7 * i), options));
    };
    const alone: string[] = [];
    const one = new LLMEngine(runner, {
      maxBatchSize: 1,
      maxPrefillTokens: 512,
      maxModelLen: 256,
      chunkedPrefill: false,
      prefixCaching: false,
    });
    for (let i = 0; i < NUM_REQUESTS; i++)
      alone.push(bits(await one.generate(promptOf(i), requestOf(i), guideOf(i)).result));
    const beamsAlone: string[] = [];
    for (let i = 0; i < 3; i++) beamsAlone.push(await beamsOf(one, i));
    await one.dispose();
    const seen = {
      beams: 0,
      preemptions: 0,
      hits: 0,
      aborts: 0,
      answers: 0,
      text: 0,
      smaller: 0,
      same: 0,
      wrong: 0,
    };
    await fc.assert(
      fc.asyncProperty(schedule, async ({ requests, beams, numBlocks, guesses, draftTokens, ...limits }) => {
        const few: StepRunner = {
          config: runner.config,
          blockSize: runner.blockSize,
          numBlocks,
          addSequence: (...args) => runner.addSequence(...args),
          removeSequence: (sequence) => runner.removeSequence(sequence),
          run: (batch) => runner.run(batch),
        };
        const maxPrefillTokens = limits.chunkedPrefill ? limits.maxPrefillTokens : 160;
        const drafter = { none: undefined, text: undefined, smaller, same }[guesses];
        const engine = new LLMEngine(few, {
          ...{ ...limits, maxPrefillTokens, maxModelLen: 160 },
          ...(guesses !== 'none' && { draftTokens }),
          ...(drafter && { draftModel: new DraftModel(drafter, runner.config.vocabSize) }),
          draftLength: (_rate, _sequences, most) => most,
        });
        const searches = beams.map(async (i) => ({ i, found: await beamsOf(engine, i) }));
        const running: { index: number; generation: Generation }[] = [];
        for (const { index: drawn, waitTurns, isAborted, client, priority } of requests) {
          // No draft model knows a guide.
          const index = guesses === 'same' && isGuided(drawn) ? drawn - 1 : drawn;
          const options = { client, priority, ...guideOf(index) };
          const generation = engine.generate(promptOf(index), requestOf(index), options);
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
        for (const { i, found } of await Promise.all(searches)) {
          if (found !== beamsAlone[i]) throw new Error(`the beams of prompt ${i} changed`);
          seen.beams++;
        }
        // The step that is in flight keeps the blocks of those that were aborted.
        await engine.dispose();
        const { preemptions, prefixHitTokens, draftedTokens, acceptedTokens } = engine.stats;
        seen.preemptions += preemptions;
        seen.hits += prefixHitTokens;
        if (guesses !== 'none') seen[guesses] += acceptedTokens;
        seen.wrong += draftedTokens - acceptedTokens;
        if (guesses === 'same' && acceptedTokens < draftedTokens)
          throw new Error('a model guesses wrong about itself');
        if (engine.stats.usedBlocks > 0) throw new Error('blocks are left over');
      }),
      { numRuns: SCHEDULES, seed: 3, endOnFailure: true },
    );
    expect(seen.preemptions).to.be.greaterThan(PREEMPTIONS);
    expect(seen.hits).to.be.greaterThan(SCHEDULES);
    expect(seen.aborts).to.be.greaterThan(SCHEDULES / 2);
    expect(seen.answers).to.be.greaterThan(3 * SCHEDULES);
    expect(seen.beams).to.be.greaterThan(SCHEDULES / 4);
    for (const guessed of [seen.text, seen.smaller, seen.same, seen.wrong])
      expect(guessed).to.be.greaterThan(SCHEDULES / 4);
  });
});
