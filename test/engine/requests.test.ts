import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { LLMEngine } from '../../src/engine/llm-engine.js';
import { openEngine } from '../../src/engine/open-engine.js';
import type { OpenEngineOptions } from '../../src/engine/open-engine-options.js';
import type { PARunnerOptions } from '../../src/engine/pa-options.js';
import { type PAInputs, PARunner } from '../../src/engine/pa-runner.js';
import type { GraphKind } from '../../src/graph/graph-kind.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import type { SamplingOptions } from '../../src/sampling/sampling-params.js';
import { failure } from '../weights/safetensors-writer.js';

const TINY_STORIES = join(import.meta.dirname, '../../../examples/models/tiny-stories');
const SAMPLED = { temperature: 1, seed: 3, maxTokens: 12, ignoreEos: true };
const PROMPT = Int32Array.of(0, 10, 20, 30);

describe('a request', function () {
  this.timeout(60_000);

  async function withRunner<T>(options: Partial<PARunnerOptions>, use: (runner: PARunner) => Promise<T>) {
    const runner = await PARunner.load({
      modelPath: TINY_STORIES,
      threads: 2,
      loadTokenizer: false,
      ...options,
    });
    try {
      return await use(runner);
    } finally {
      await runner.dispose();
    }
  }
  /** A copy of the model with another generation_config.json. */
  async function withPresets<T>(presets: object, use: (modelPath: string) => Promise<T>): Promise<T> {
    const folder = mkdtempSync(join(tmpdir(), 'atb-presets-'));
    try {
      for (const name of ['config.json', 'model.safetensors'])
        copyFileSync(join(TINY_STORIES, name), join(folder, name));
      writeFileSync(join(folder, 'generation_config.json'), JSON.stringify(presets));
      return await use(folder);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
  const inputs: PAInputs = { kind: 'tokens', prompts: [PROMPT, PROMPT] };
  const infer = (defaults: SamplingOptions, sampling: SamplingOptions) =>
    withRunner({ sampling: defaults, maxOutputLength: 12 }, async (runner) =>
      (await runner.infer(inputs, sampling)).answers.map(({ tokens }) => tokens),
    );

  it('is the same whether its options come with it or from load', async () => {
    const asked = await infer({}, SAMPLED);
    expect(await infer(SAMPLED, {})).to.deep.equal(asked);
    expect(await infer({ ...SAMPLED, seed: 9, temperature: 0 }, { seed: 3, temperature: 1 })).to.deep.equal(
      asked,
    );
    expect(await infer(SAMPLED, { temperature: undefined })).to.deep.equal(asked);
    expect(asked[0]).to.have.length(12).and.not.to.deep.equal(asked[1]);
  });

  it('is the best token each time wherever its numbers leave one token', async () => {
    const greedy = await infer({}, { ...SAMPLED, temperature: 0 });
    for (const one of [{ topP: 0 }, { topP: 1e-30 }, { topK: 1 }, { minP: 1 }, { temperature: 1e-6 }])
      expect(await infer({}, { ...SAMPLED, ...one }), JSON.stringify(one)).to.deep.equal(greedy);
    expect(await infer({}, SAMPLED)).to.not.deep.equal(greedy);
    const off = { ...SAMPLED, topK: 0, topP: 1, minP: 0 };
    const all = await infer({}, off);
    for (const none of [{ topP: 1 }, { topK: 0 }, { topK: -1 }, { topK: 2 ** 31 - 1 }, { minP: 0 }])
      expect(await infer({}, { ...off, ...none }), JSON.stringify(none)).to.deep.equal(all);
  });

  it('of prompt i draws with the seed of a request alone that has seed + i', async () => {
    const [, second] = await infer({}, SAMPLED);
    const alone = await withRunner({}, (runner) => runner.generate(PROMPT, { ...SAMPLED, seed: 4 }).result);
    expect(alone.tokens).to.deep.equal(second);
  });

  it('is greedy and as long as load says when it says nothing', async () => {
    const { tokens } = await withRunner(
      { maxOutputLength: 7, sampling: { ignoreEos: true } },
      (runner) => runner.generate(PROMPT).result,
    );
    expect(tokens).to.have.length(7);
    const greedy = await infer({}, { temperature: 0, maxTokens: 7, ignoreEos: true });
    expect(greedy).to.deep.equal([tokens, tokens]);
  });

  it('with a temperature takes what else generation_config.json presets', async () => {
    await withRunner({ sampling: { minP: 0.1 } }, async ({ engine }) => {
      expect(engine.samplingDefaults).to.include({ temperature: 0, topK: 40, topP: 0.95, minP: 0.1 });
    });
  });

  it('draws where generation_config.json samples, unless it or load says otherwise', async () => {
    const asked = { seed: 3, maxTokens: 12, ignoreEos: true };
    const presets = { do_sample: true, temperature: 0.9, top_p: 0.9 };
    const tokens = (sampling: SamplingOptions, defaults: SamplingOptions = {}) =>
      withPresets(presets, (modelPath) =>
        withRunner({ modelPath, sampling: defaults }, async (runner) => {
          const { answers } = await runner.infer({ kind: 'tokens', prompts: [PROMPT] }, sampling);
          const alone = await runner.generate(PROMPT, sampling).result;
          expect(answers[0]?.tokens).to.deep.equal(alone.tokens);
          return alone.tokens;
        }),
      );
    const drawn = await infer({}, { ...asked, temperature: 0.9, topP: 0.9, topK: 50 });
    const greedy = await infer({}, { ...asked, temperature: 0 });
    expect(await tokens(asked))
      .to.deep.equal(drawn[0])
      .and.not.to.deep.equal(greedy[0]);
    expect(await tokens({ ...asked, temperature: 0 })).to.deep.equal(greedy[0]);
    expect(await tokens(asked, { temperature: 0 })).to.deep.equal(greedy[0]);
  });

  it('fails at a preset out of range that it would use; loading and others do not', async () => {
    const warnings: string[] = [];
    await withPresets({ do_sample: true, top_p: 3, repetition_penalty: 1.1 }, (modelPath) =>
      withRunner({ modelPath, onWarning: (text) => warnings.push(text) }, async (runner) => {
        await runner.warmUp();
        for (const start of [runner.generate, runner.infer] as const) {
          const given = start === runner.infer ? inputs : PROMPT;
          const { detail } = await failure('REQUEST_INVALID', async () =>
            (start as (given: unknown) => unknown).call(runner, given),
          );
          expect(detail).to.include({ field: 'topP', found: 3 });
        }
        for (const sampling of [{ topP: 0.9 }, { temperature: 0 }]) {
          const { answers } = await runner.infer(inputs, { ...sampling, maxTokens: 3, ignoreEos: true });
          expect(answers.map(({ tokens }) => tokens.length)).to.deep.equal([3, 3]);
        }
      }),
    );
    expect(warnings.join()).to.match(/generation_config\.json: top_p must be .* found 3/);
  });

  it('of the warm-up is short, whatever load says of requests', async () => {
    await withRunner({ sampling: { minTokens: 9, maxTokens: 9 } }, async (runner) => {
      await runner.warmUp();
      const { answers } = await runner.infer(inputs, {});
      expect(answers.map(({ tokens }) => tokens.length)).to.deep.equal([9, 9]);
    });
  });

  it('names a field that does not exist', async () => {
    await withRunner({}, async (runner) => {
      const sampling = { maxOutputLength: 3 } as SamplingOptions;
      const { detail } = await failure('REQUEST_INVALID', () => runner.infer(inputs, sampling));
      expect(detail).to.include({ field: 'maxOutputLength' });
    });
  });
});

describe('a prompt longer than a prefill step', function () {
  this.timeout(60_000);
  const prompts = [400, 3, 130].map((count) =>
    Int32Array.from({ length: count }, (_, i) => 3 + ((i * 29) % 100)),
  );

  async function answers(limits: Partial<OpenEngineOptions>) {
    const kinds: [GraphKind['name'], number][] = [];
    const { engine, runner } = await openEngine({
      modelPath: TINY_STORIES,
      threads: 2,
      loadTokenizer: false,
      maxInputLength: 400,
      maxOutputLength: 8,
      onStep: ({ kind, tokens }) => kinds.push([kind.name, tokens]),
      ...limits,
    });
    try {
      const sampling = { temperature: 0.8, ignoreEos: true, logprobs: 2 };
      const results = await Promise.all(
        prompts.map((prompt, seed) => engine.generate(prompt, { ...sampling, seed }).result),
      );
      return { kinds, results: results.map(({ tokens, logprobs }) => ({ tokens, logprobs })) };
    } finally {
      await engine.dispose();
      runner.dispose();
    }
  }

  it('is cut into chunks, and answered with the same tokens and log-probs', async () => {
    const whole = await answers({ prefixCaching: false });
    expect(whole.kinds.map(([name]) => name)).not.to.include('splitfuse');
    for (const maxBatchSize of [1, 3]) {
      const { kinds, results } = await answers({ maxPrefillTokens: 8, maxBatchSize });
      expect(results).to.deep.equal(whole.results);
      expect(Math.max(...kinds.map(([, tokens]) => tokens))).to.be.at.most(8);
      expect(kinds.filter(([name]) => name === 'splitfuse')).to.have.length.above(400 / 8);
    }
  });
});

describe('an engine', function () {
  this.timeout(60_000);

  it("without a postprocessor takes and gives token ids, and ends at the model's end tokens", async () => {
    const runner = await ModelRunner.load({ modelPath: TINY_STORIES, threads: 2, numBlocks: 8 });
    const limits = { maxBatchSize: 2, maxPrefillTokens: 512, maxModelLen: 512, chunkedPrefill: false };
    const engine = new LLMEngine(runner, limits);
    try {
      const endless = await engine.generate(PROMPT, { maxTokens: 300, ignoreEos: true }).result;
      expect(endless).to.include({ text: '', finishReason: 'length' });
      const end = endless.tokens.findIndex((token) => runner.config.eosTokenIds.includes(token));
      expect(end).to.be.above(0);
      const { tokens, finishReason } = await engine.generate(PROMPT, { maxTokens: 300 }).result;
      expect(finishReason).to.equal('stop');
      expect(tokens).to.deep.equal(endless.tokens.slice(0, end + 1));
    } finally {
      await engine.dispose();
      runner.dispose();
    }
  });

  it('refuses limits that make no sense', async () => {
    await failure('REQUEST_INVALID', () =>
      openEngine({ modelPath: TINY_STORIES, loadTokenizer: false, maxBatchSize: 4, maxPrefillTokens: 2 }),
    );
  });
});
