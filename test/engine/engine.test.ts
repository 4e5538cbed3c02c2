import { join } from 'node:path';
import { expect } from 'chai';
import type { Generation } from '../../src/engine/generation.js';
import { LLMEngine } from '../../src/engine/llm-engine.js';
import type { LLMEngineOptions, StepReport } from '../../src/engine/llm-engine-options.js';
import { type OpenEngine, openEngine } from '../../src/engine/open-engine.js';
import type { OpenEngineOptions } from '../../src/engine/open-engine-options.js';
import { PARunner } from '../../src/engine/pa-runner.js';
import type { AtbError } from '../../src/errors.js';
import { PREFILL } from '../../src/graph/graph-kind.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import type { SamplingOptions } from '../../src/sampling/sampling-params.js';
import { tokensAlone } from '../scheduler/fake-engine.js';
import { failure } from '../weights/safetensors-writer.js';
import { FaultyPostprocessor, FaultyRunner } from './faulty-world.js';

const TINY_STORIES = join(import.meta.dirname, '../../../examples/models/tiny-stories');
const LIMITS = { maxBatchSize: 2, maxPrefillTokens: 64, maxModelLen: 64, chunkedPrefill: false } as const;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Whether each was answered, and if not, why. */
const outcomes = async (generations: readonly Generation[]): Promise<string[]> =>
  (await Promise.allSettled(generations.map(({ result }) => result))).map((settled) =>
    settled.status === 'fulfilled' ? 'answered' : (settled.reason as AtbError).code,
  );

describe('an engine whose step fails', () => {
  it('fails the requests of that step with a typed error, and answers the others', async () => {
    let failing = true;
    const runner = new FaultyRunner(
      16,
      4,
      (where) => {
        if (!failing || where !== 'run rejects') return;
        failing = false;
        throw new TypeError('out of order');
      },
      turn,
    );
    const engine = new LLMEngine(runner, LIMITS);
    const generations = [1, 2, 3].map((token) => engine.generate([token, 5], { maxTokens: 4 }));
    expect(await outcomes(generations)).to.deep.equal(['REQUEST_FAILED', 'REQUEST_FAILED', 'answered']);
    const { message, cause } = await failure('REQUEST_FAILED', () => generations[0]?.result);
    expect(message).to.match(/failed while computing a step: out of order/);
    expect(cause).to.be.instanceOf(TypeError);
    expect((await generations[2]?.result)?.tokens).to.deep.equal(tokensAlone([3, 5], 4));
    expect(runner.samplers.size).to.equal(0);
  });

  it('ends a request whose decoder throws, and keeps the text of the others', async () => {
    const runner = new FaultyRunner(16, 4, () => undefined, turn);
    let decoded = 0;
    const postprocessor = new FaultyPostprocessor((where, who) => {
      if (where === 'decode' && who === 1 && ++decoded === 3) throw new TypeError('no such decoder');
    });
    const engine = new LLMEngine(runner, { ...LIMITS, postprocessor });
    const [first, second] = [1, 2].map((token) => engine.generate([token], { maxTokens: 6 })) as [
      Generation,
      Generation,
    ];
    const { message } = await failure('REQUEST_FAILED', () => first.result);
    expect(message).to.match(/making text of tokens: no such decoder/);
    expect(first.soFar.tokens).to.deep.equal(tokensAlone([1], 2));
    const { text } = await second.result;
    expect(text).to.equal(
      tokensAlone([2], 6)
        .map((token) => `${token},`)
        .join(''),
    );
  });
});

describe('an engine on a model', function () {
  this.timeout(60_000);
  let open: OpenEngine;
  const steps: StepReport[] = [];
  const options: OpenEngineOptions = {
    modelPath: TINY_STORIES,
    threads: 2,
    maxBatchSize: 4,
    maxOutputLength: 100,
    onStep: (step) => steps.push(step),
  };
  beforeEach(async () => {
    steps.length = 0;
    open = await openEngine(options);
  });
  afterEach(async () => {
    await open.engine.dispose();
    open.runner.dispose();
  });
  const start = (token: number, sampling: SamplingOptions = {}): Generation =>
    open.engine.generate([0, token], { ignoreEos: true, maxTokens: 60, ...sampling });

  it('ends a request when its reader breaks off; others go on', async () => {
    const [left, kept] = [start(10), start(11)];
    for await (const { tokens } of left) if (tokens.length > 0) break;
    const { detail } = await failure('REQUEST_ABORTED', () => left.result);
    expect(detail.tokens.length).to.be.within(1, 59);
    expect((await kept.result).tokens).to.have.length(60);
    expect(steps.at(-1)?.sequences).to.equal(1);
  });

  it('aborts what runs and what waits when it is disposed, with the text so far', async () => {
    const generations = [10, 11, 12, 13, 14].map((token) => start(token));
    await generations[0]?.[Symbol.asyncIterator]().next();
    await open.engine.dispose();
    expect(await outcomes(generations)).to.deep.equal(new Array(5).fill('REQUEST_ABORTED'));
    const { detail, cause } = await failure('REQUEST_ABORTED', () => generations[0]?.result);
    expect(detail.tokens.length).to.be.above(0);
    expect(cause).to.have.property('code', 'ENGINE_DISPOSED');
    const numSteps = steps.length;
    for (let i = 0; i < 10; i++) await turn();
    expect(steps.length).to.equal(numSteps);
    await failure('ENGINE_DISPOSED', () => start(10));
    await open.engine.dispose();
  });

  it('fails its requests when the runner is disposed under it, in any order of disposal', async () => {
    const generations = [10, 11, 12, 13, 14].map((token) => start(token));
    await generations[0]?.[Symbol.asyncIterator]().next();
    open.runner.dispose();
    expect(await outcomes(generations)).to.deep.equal(new Array(5).fill('ENGINE_DISPOSED'));
    await failure('ENGINE_DISPOSED', () => start(10));
    await open.engine.dispose();
    open.runner.dispose();
  });

  it('is not harmed by observers that throw', async () => {
    const expected = (await start(10).result).tokens;
    const { emitWarning } = process;
    const warnings: unknown[] = [];
    process.emitWarning = (warning: string | Error) => warnings.push(warning);
    const fail = (): never => {
      throw new Error('observer');
    };
    const other = await openEngine({ ...options, onStep: fail, onPlan: fail });
    try {
      const request = { ignoreEos: true, maxTokens: 60 };
      expect((await other.engine.generate([0, 10], request).result).tokens).to.deep.equal(expected);
      expect(warnings).to.have.length(2);
      expect(String(warnings)).to.match(/onPlan failed.*onStep failed/s);
    } finally {
      process.emitWarning = emitWarning;
      await other.engine.dispose();
      other.runner.dispose();
    }
  });

  it('lets observers ask, abort and dispose', async () => {
    let more: Generation | undefined;
    const generations = [start(10), start(11)];
    const { runner } = open;
    const engine = new LLMEngine(runner, {
      ...LIMITS,
      onStep() {
        more ??= engine.generate([0, 3], { maxTokens: 3, ignoreEos: true });
        generations[0]?.abort('enough');
      },
    });
    await engine.generate([0, 1], { maxTokens: 2 }).result;
    expect((await more?.result)?.tokens).to.have.length(3);
    expect(await outcomes(generations)).to.deep.equal(['REQUEST_ABORTED', 'answered']);
    let disposed: Promise<void> | undefined;
    const last = new LLMEngine(runner, {
      ...LIMITS,
      onStep: () => {
        disposed ??= last.dispose();
      },
    });
    expect(await outcomes([last.generate([0, 1])])).to.deep.equal(['REQUEST_ABORTED']);
    await disposed;
  });

  it('starts no more prompts in a step than maxPrefillBatchSize', async () => {
    for (const [maxPrefillBatchSize, expected] of [
      [undefined, [4, 1]],
      [2, [2, 2, 1]],
      [1, [1, 1, 1, 1, 1]],
    ] as const) {
      const other = await openEngine({ ...options, ...(maxPrefillBatchSize && { maxPrefillBatchSize }) });
      steps.length = 0;
      const prompts = [10, 11, 12, 13, 14];
      await Promise.all(prompts.map((token) => other.engine.generate([token], { maxTokens: 2 }).result));
      const prefills = steps.filter(({ kind }) => kind === PREFILL).map(({ sequences }) => sequences);
      expect(prefills).to.deep.equal(expected);
      await other.engine.dispose();
      other.runner.dispose();
    }
  });

  it('computes on as many threads as were asked for', async () => {
    expect(open.runner.threads).to.equal(2);
    const other = await openEngine({ ...options, threads: 1 });
    expect(other.runner.threads).to.equal(1);
    await other.engine.dispose();
    other.runner.dispose();
  });

  it('takes a token the less likely for each time, and once, that it was generated', async () => {
    const sampling = { frequencyPenalty: 1.5, presencePenalty: -1.5 };
    const { tokens } = await start(10, { ...sampling, maxTokens: 60 }).result;
    expect(tokens).to.deep.equal(await penalised(open.runner, [0, 10], 60, 1.5, -1.5));
    expect(tokens).not.to.deep.equal(await penalised(open.runner, [0, 10], 60, -1.5, 1.5));
  });

  it('chooses among tokens that are likely enough beside the best', async () => {
    const wild = { temperature: 5, seed: 3 };
    const greedy = (await start(10).result).tokens;
    expect((await start(10, { ...wild, minP: 1 }).result).tokens).to.deep.equal(greedy);
    expect((await start(10, wild).result).tokens).not.to.deep.equal(greedy);
  });

  it('ends a request whose time is up, whether it runs or waits, and frees its blocks', async () => {
    const free = open.engine.stats.freeBlocks;
    const running = [10, 11, 12, 13].map((token) => start(token));
    const late = open.engine.generate([0, 14], { maxTokens: 60, ignoreEos: true }, { timeoutMs: 1e-3 });
    const { cause } = await failure('REQUEST_ABORTED', () => late.result);
    expect(cause).to.have.property('code', 'REQUEST_TIMEOUT');
    expect(await outcomes(running)).to.deep.equal(new Array(4).fill('answered'));
    expect(open.engine.stats).to.include({ running: 0, waiting: 0, freeBlocks: free });
  });

  it('computes a beginning that it has seen only once, and gives the same answer', async () => {
    const system = Array.from({ length: 400 }, (_, i) => 3 + ((i * 29) % 100));
    const ask = (token: number) =>
      open.engine.generate([...system, token], { maxTokens: 8, ignoreEos: true, temperature: 1, seed: 5 });
    const computed = () => steps.splice(0).reduce((sum, { tokens }) => sum + tokens, 0);
    const cold = await ask(7).result;
    expect(computed()).to.equal(401 + 7);
    const warm = await ask(7).result;
    expect(computed()).to.equal(401 - 3 * 128 + 7);
    expect(warm.tokens).to.deep.equal(cold.tokens);
    await ask(8).result;
    expect(computed()).to.equal(401 - 3 * 128 + 7);
    expect(open.engine.stats.prefixHitTokens).to.equal(2 * 3 * 128);
  });

  it('names an option that does not exist, and those of a wrong value', async () => {
    const { message } = await failure('OPTION_UNKNOWN', () =>
      openEngine({ ...options, maxBatchsize: 2 } as OpenEngineOptions),
    );
    expect(message).to.match(/there is no option maxBatchsize; nearest: maxBatchSize; `OpenEngineOptions`/);
    const unknown = { modelPath: TINY_STORIES, onStep: () => undefined };
    await failure('OPTION_UNKNOWN', () => PARunner.load(unknown));
    await failure('OPTION_UNKNOWN', () => PARunner.load(JSON.parse('{"modelPath":"x","__proto__":1}')));
    await failure('OPTION_UNKNOWN', () => ModelRunner.load({ ...unknown, numBlocks: 2 }));
    await failure(
      'OPTION_UNKNOWN',
      () => new LLMEngine(open.runner, { ...LIMITS, onStop: 1 } as LLMEngineOptions),
    );
    const bad: Readonly<Record<string, readonly unknown[]>> = {
      modelPath: [undefined, 5, null, ''],
      modelDirs: ['x', [5]],
      maxBatchSize: [0, -1, 1.5, Number.NaN, '4', 2 ** 53],
      maxInputLength: [0, -5],
      maxOutputLength: [0, -5, null],
      maxPrefillBatchSize: [0],
      maxPrefillTokens: [0, -1],
      cacheBytes: [-1, '2GiB', Number.NaN],
      chunkedPrefill: ['yes'],
      prefixCaching: [1],
      policy: ['lifo', 5],
      blockSize: [-128, 0, 33, 31.5],
      threads: [0, -1, 1.5],
      isa: [5],
      dtype: ['f64', 5],
      passes: [5, [5], 'some'],
      profile: ['yes'],
      loadTokenizer: ['false', 0],
      chatTemplate: [5],
      maxPositionEmbeddings: [0, -1],
      kvQuant: ['int4'],
      quantize: ['w2'],
      sampling: [5, null],
      onStep: [5],
      onPlan: ['log'],
      onProgress: [{}],
    };
    for (const [field, values] of Object.entries(bad)) {
      for (const value of values) {
        const given = { ...options, [field]: value } as OpenEngineOptions;
        const error = await failure('REQUEST_INVALID', () => openEngine(given));
        expect(error.message, `${field} = ${String(value)}`).to.match(new RegExp(`${field}|kv_quant`));
      }
    }
    for (const given of [undefined, null, 5, 'x'])
      await failure('REQUEST_INVALID', () => PARunner.load(given as never));
    const wrong = { sampling: { temperature: -1 } };
    const { detail } = await failure('REQUEST_INVALID', () => openEngine({ ...options, ...wrong }));
    expect(detail).to.include({ field: 'temperature' });
  });
});

/** The best tokens by the logits of `forward`, less what OpenAI's formula subtracts for those generated before. */
async function penalised(
  runner: ModelRunner,
  prompt: readonly number[],
  count: number,
  frequency: number,
  presence: number,
): Promise<number[]> {
  const tokens = [...prompt];
  while (tokens.length < prompt.length + count) {
    const positionIds = Int32Array.from(tokens.keys());
    const { data } = await runner.forward({
      inputIds: Int32Array.from(tokens),
      positionIds,
      isPrefill: true,
      blockTables: [[0]],
      slots: positionIds,
      inputLengths: Int32Array.of(tokens.length),
    });
    const logits = Float64Array.from(data);
    for (const token of new Set(tokens.slice(prompt.length))) {
      const times = tokens.slice(prompt.length).filter((each) => each === token).length;
      logits[token] = (logits[token] as number) - frequency * times - presence;
    }
    tokens.push(logits.indexOf(Math.max(...logits)));
  }
  return tokens.slice(prompt.length);
}
