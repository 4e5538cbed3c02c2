import { join } from 'node:path';
import { expect } from 'chai';
import { LLMEngine } from '../../src/engine/llm-engine.js';
import { AtbError } from '../../src/errors.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { Postprocessor } from '../../src/tokenizer/postprocessor.js';
import { FaultyPostprocessor, withFaultyScheduler } from './faulty-world.js';

const TINY_STORIES = join(import.meta.dirname, '../../../examples/models/tiny-stories');
const PROMPTS = Array.from({ length: 6 }, (_, i) => [0, 10 + i, 20, 30 + i]);
const SAMPLING = { ignoreEos: true, maxTokens: 40 };
/** Six sequences want two blocks each: some are preempted. */
const CACHE = { blockSize: 32, numBlocks: 8 } as const;
const LIMITS = { maxBatchSize: 6, maxPrefillTokens: 12, maxModelLen: 256, chunkedPrefill: true } as const;

describe('an engine on a model among code that throws', function () {
  this.timeout(60_000);
  let runner: ModelRunner;
  let alone: number[][];
  before(async () => {
    runner = await ModelRunner.load({ modelPath: TINY_STORIES, threads: 2, ...CACHE });
    const engine = new LLMEngine(runner, { ...LIMITS, postprocessor: new Postprocessor(undefined, []) });
    alone = [];
    for (const prompt of PROMPTS) alone.push([...(await engine.generate(prompt, SAMPLING).result).tokens]);
    await engine.dispose();
  });
  after(() => runner.dispose());

  for (const [what, period, isFaulty] of [
    [
      'decoders of some requests',
      53,
      (where: string, who: number | undefined) => where === 'decode' && who !== undefined,
    ],
    ['parts of the scheduler', 300, (where: string) => /before|after/.test(where)],
  ] as const) {
    it(`answers the same or fails typed, and serves on, when ${what} throw`, async () => {
      const counts = { answered: 0, failed: 0 };
      for (let round = 0; round < 25; round++) {
        let calls = 0;
        let isOn = true;
        // Each round hits other places.
        const fault = (where: string, who?: number): void => {
          if (isOn && isFaulty(where, who) && ++calls % (period + 20 * round) === 0)
            throw new TypeError(where);
        };
        const engine = new LLMEngine(runner, { ...LIMITS, postprocessor: new FaultyPostprocessor(fault) });
        await withFaultyScheduler(fault, async () => {
          const started = PROMPTS.map((prompt) => {
            try {
              return engine.generate(prompt, SAMPLING).result;
            } catch (error) {
              return Promise.reject(error);
            }
          });
          for (const [i, outcome] of (await Promise.allSettled(started)).entries()) {
            if (outcome.status === 'fulfilled') {
              expect(outcome.value.tokens).to.deep.equal(alone[i]);
              counts.answered++;
            } else {
              expect(outcome.reason).to.be.instanceOf(AtbError).with.property('code', 'REQUEST_FAILED');
              counts.failed++;
            }
          }
        });
        isOn = false;
        // Needs the whole cache.
        const prompt = new Array<number>(CACHE.numBlocks * CACHE.blockSize - 3).fill(1);
        expect((await engine.generate(prompt, { ...SAMPLING, maxTokens: 3 }).result).tokens).to.have.length(
          3,
        );
        await engine.dispose();
      }
      expect(Math.min(counts.answered, counts.failed)).to.be.above(15);
    });
  }
});
