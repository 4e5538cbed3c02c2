import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { beamSearch } from '../../src/engine/beam-search.js';
import { LLM } from '../../src/engine/llm.js';
import { LLMEngine } from '../../src/engine/llm-engine.js';
import { samplingOf } from '../../src/engine/options.js';
import type { ModelRunner } from '../../src/runner/model-runner.js';
import { failure } from '../weights/safetensors-writer.js';

const ROOT = join(import.meta.dirname, '../../..');
/** Made with transformers; the file says which, and how. */
const { cases } = JSON.parse(readFileSync(join(ROOT, 'test/fixtures/beam-search.json'), 'utf8')) as {
  readonly cases: readonly {
    readonly prompt: readonly number[];
    readonly beamWidth: number;
    readonly maxTokens: number;
    readonly lengthPenalty: number;
    readonly tokens: readonly (readonly number[])[];
    readonly scores: readonly number[];
  }[];
};

describe('beam search', function () {
  this.timeout(60_000);
  let llm: LLM;
  before(async () => {
    llm = await LLM.load(join(ROOT, 'examples/models/tiny-stories'), {
      threads: 2,
      blockSize: 32,
      dtype: 'f32',
      maxNumSeqs: 10,
    });
  });
  after(() => llm.dispose());

  for (const { prompt, tokens, scores, ...options } of cases) {
    it(`finds what transformers finds: ${JSON.stringify(options)} after ${prompt.join(' ')}`, async () => {
      const found = await llm.beamSearch(prompt, options);
      expect(found.map((each) => each.tokens)).to.deep.equal(tokens);
      for (const [index, { score }] of found.entries())
        expect(score).to.be.closeTo(scores[index] as number, 1e-4);
    });
  }

  it('with one beam is what a greedy request gives', async () => {
    const options = { maxTokens: 20, ignoreEos: true };
    const [best] = await llm.beamSearch('Once upon a time', { ...options, beamWidth: 1 });
    const greedy = await llm.generate('Once upon a time', { ...options, temperature: 0 });
    expect(best).to.include({ text: greedy.text, finishReason: 'length' });
  });

  it('shares what its beams have in common', async () => {
    const prompt = Array.from({ length: 320 }, (_, i) => 3 + ((i * 37) % 100));
    const before = llm.stats;
    await llm.beamSearch(prompt, { beamWidth: 4, maxTokens: 10, ignoreEos: true });
    const queried = llm.stats.prefixQueriedTokens - before.prefixQueriedTokens;
    const hits = llm.stats.prefixHitTokens - before.prefixHitTokens;
    // The prompt once, and then of each beam the newest token.
    expect(queried - hits).to.equal(320 + 9 * 4);
    expect(llm.stats.usedBlocks).to.equal(0);
  });

  it('is the same where nobody finds anything in the cache, and where beams hardly have room', async () => {
    const options = { beamWidth: 4, maxTokens: 40, ignoreEos: true };
    const prompt = Array.from({ length: 50 }, (_, i) => 3 + ((i * 37) % 100));
    const found = await llm.beamSearch(prompt, options);
    for (const { numBlocks, prefixCaching } of [
      { numBlocks: 20, prefixCaching: false },
      { numBlocks: 4, prefixCaching: true },
    ]) {
      const { runner, text } = llm;
      const few = Object.assign(Object.create(runner) as ModelRunner, { numBlocks });
      const bound = new Proxy(few, {
        get(target, name) {
          const member: unknown = Reflect.get(name === 'numBlocks' ? target : runner, name);
          return typeof member === 'function' ? member.bind(runner) : member;
        },
      });
      const engine = new LLMEngine(bound, {
        ...{ maxBatchSize: 4, maxPrefillTokens: 64, maxModelLen: 100, chunkedPrefill: true, prefixCaching },
      });
      const beams = {
        ...{ engine, text, decode: (tokens: ArrayLike<number>) => llm.decode(tokens) },
        startTokens: (tokens: ArrayLike<number>, given = {}) => engine.generate(tokens, ...samplingOf(given)),
      };
      expect(await beamSearch(beams, prompt, options)).to.deep.equal(found);
      expect(engine.stats.usedBlocks).to.equal(0);
      await engine.dispose();
    }
  });

  it('ends by its signal, and refuses more beams than it can look at', async () => {
    const options = { beamWidth: 4, maxTokens: 400, ignoreEos: true };
    const running = llm.beamSearch('Once', { ...options, signal: AbortSignal.timeout(30) });
    await failure('REQUEST_ABORTED', () => running);
    await failure('REQUEST_INVALID', () => llm.beamSearch('Once', { ...options, beamWidth: 11 }));
    // The step that was in flight keeps its blocks until it is over.
    await llm.generate('Once', { maxTokens: 1 });
    const { running: left, usedBlocks } = llm.stats;
    expect([left, usedBlocks]).to.deep.equal([0, 0]);
  });
});
