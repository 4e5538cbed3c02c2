import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'chai';
import { z } from 'zod';
import { LLM } from '../../src/engine/llm.js';
import type { LLMOptions } from '../../src/engine/llm-options.js';
import type { ErrorCode } from '../../src/errors.js';
import { exportModel } from '../../src/npu-export/export-model.js';
import { estimateMemory } from '../../src/runner/estimate-memory.js';
import { openModel } from '../../src/runner/open-model.js';
import { quantizeCheckpoint } from '../../src/runner/quantize-checkpoint.js';
import { failure } from '../weights/safetensors-writer.js';

const TINY_STORIES = join(import.meta.dirname, '../../../examples/models/tiny-stories');
const PROMPT = 'Once upon a time';

describe('LLM', function () {
  this.timeout(60_000);
  let llm: LLM;
  const load = (options: LLMOptions = {}) =>
    LLM.load(TINY_STORIES, { threads: 2, blockSize: 32, ...options });
  before(async () => {
    llm = await load({ maxNumSeqs: 4 });
  });
  after(() => llm.dispose());

  it('streams the very text that it generates', async () => {
    let streamed = '';
    for await (const { text } of llm.stream(PROMPT, { maxTokens: 40 })) streamed += text;
    const { text, tokens, finishReason, outputs } = await llm.generate(PROMPT, { maxTokens: 40 });
    expect(text).to.equal(streamed);
    expect(text).to.match(/^[\w ,."'!?\n-]{40,}$/);
    expect([tokens.length, finishReason, outputs.length]).to.deep.equal([40, 'length', 1]);
  });

  it('takes texts, token ids and lists of them, and answers each as alone', async () => {
    const tokens = await llm.encode(PROMPT);
    const options = { maxTokens: 12 };
    const alone = (await llm.generate(PROMPT, options)).text;
    expect((await llm.generate(tokens, options)).text).to.equal(alone);
    expect((await llm.generate(Array.from(tokens), options)).text).to.equal(alone);
    const many = await llm.generate([PROMPT, 'The cat', tokens], options);
    expect(many.map(({ text }) => text)).to.deep.equal([
      alone,
      (await llm.generate('The cat', options)).text,
      alone,
    ]);
    expect(await llm.generate([], options)).to.deep.equal([]);
    expect(llm.decode(tokens)).to.equal(PROMPT);
    expect(() => llm.decode(5 as never)).to.throw(
      'LLM.decode: the tokens must be a list or an array of token ids, found 5',
    );
  });

  it('writes to the end of the story or of the model when nobody says how long', async () => {
    const { finishReason, tokens } = await llm.generate(PROMPT, { ignoreEos: true });
    expect(finishReason).to.equal('length');
    expect(tokens.length + (await llm.encode(PROMPT)).length).to.equal(llm.maxModelLen);
    expect((await llm.generate(PROMPT)).finishReason).to.equal('stop');
  });

  it('gives n answers, answer i as the seed + i gives it alone', async () => {
    const options = { maxTokens: 10, temperature: 1.5 };
    const { outputs, text } = await llm.generate(PROMPT, { ...options, n: 3, seed: 5 });
    expect(outputs.map(({ seed }) => seed)).to.deep.equal([5, 6, 7]);
    expect(text).to.equal(outputs[0]?.text);
    for (const output of outputs) {
      const alone = await llm.generate(PROMPT, { ...options, seed: output.seed });
      expect(output.tokens).to.deep.equal(alone.tokens);
    }
  });

  it('returns the likeliest of bestOf answers', async () => {
    const options = { maxTokens: 10, temperature: 1.5, seed: 5 };
    const { outputs: all } = await llm.generate(PROMPT, { ...options, n: 4, logprobs: 0 });
    const mean = ({ logprobs }: (typeof all)[number]) =>
      logprobs.reduce((sum, { logprob }) => sum + logprob, 0) / logprobs.length;
    const expected = all.toSorted((a, b) => mean(b) - mean(a)).slice(0, 2);
    const { outputs } = await llm.generate(PROMPT, { ...options, n: 2, bestOf: 4 });
    expect(outputs.map(({ tokens }) => tokens)).to.deep.equal(expected.map(({ tokens }) => tokens));
    expect(outputs[0]?.logprobs).to.deep.equal([]);
    await failure('REQUEST_INVALID', () => llm.generate(PROMPT, { n: 3, bestOf: 2 }));
    await failure('REQUEST_INVALID', () => llm.generate(PROMPT, { n: 0 }));
  });

  it('says how likely the tokens of a prompt are, as it says of those that it generates', async () => {
    const prompt = await llm.encode(PROMPT);
    const { tokens, logprobs } = await llm.generate(prompt, { maxTokens: 20, logprobs: 3 });
    const { promptLogprobs = [] } = await llm.generate([...prompt, ...tokens], {
      maxTokens: 1,
      promptLogprobs: 3,
    });
    expect(promptLogprobs).to.have.length(prompt.length + tokens.length);
    expect(promptLogprobs[0]).to.equal(undefined);
    for (const [index, expected] of logprobs.entries()) {
      const found = promptLogprobs[prompt.length + index];
      expect(found?.logprob).to.be.closeTo(expected.logprob, 1e-4);
      expect(found?.topTokens).to.deep.equal(expected.topTokens);
      for (const [rank, logprob] of expected.topLogprobs.entries())
        expect(found?.topLogprobs[rank]).to.be.closeTo(logprob, 1e-4);
    }
  });

  it('leaves nothing behind when a loop is left early, a signal aborts or a time is up', async () => {
    for await (const { tokens } of llm.stream(PROMPT, { ignoreEos: true })) if (tokens.length > 0) break;
    const aborter = new AbortController();
    const stream = llm.stream(PROMPT, { ignoreEos: true, signal: aborter.signal });
    await stream.next();
    aborter.abort('enough');
    await failure('REQUEST_ABORTED', async () => {
      for await (const _ of stream);
    });
    await failure('REQUEST_ABORTED', () => llm.generate(PROMPT, { signal: AbortSignal.abort() }));
    await failure('REQUEST_ABORTED', () => llm.generate([PROMPT, PROMPT], { ignoreEos: true, timeoutMs: 1 }));
    await llm.generate(PROMPT, { maxTokens: 1 });
    const { running, waiting, usedBlocks } = llm.stats;
    expect({ running, waiting, usedBlocks }).to.deep.equal({ running: 0, waiting: 0, usedBlocks: 0 });
  });

  it('refuses what it does not know by name', async () => {
    const { message } = await failure('OPTION_UNKNOWN', () => load({ maxNumSeq: 4 } as LLMOptions));
    expect(message).to.match(/nearest: maxNumSeqs; `LLMOptions`/);
    await failure('REQUEST_INVALID', () => load({ memoryBudget: 'a lot' }));
    await failure('REQUEST_INVALID', () => load({ maxNumSeqs: 4, maxNumBatchedTokens: 3 }));
    await failure('CACHE_TOO_SMALL', () => load({ memoryBudget: '1MiB' }));
    await failure('REQUEST_INVALID', () => llm.generate(5 as never));
    const wrong = await failure('REQUEST_INVALID', () => llm.generate(PROMPT, { temprature: 1 } as never));
    expect(wrong.message).to.match(/temprature/);
    const long = await failure('REQUEST_TOO_LONG', () => llm.generate(PROMPT, { maxTokens: 5000 }));
    expect(long.message).to.match(/max_position_embeddings/);
  });

  it('takes undefined as absent, and refuses by name whatever else is not of its type', async () => {
    const unset = { maxNumSeqs: undefined, quantize: undefined, memoryBudget: undefined, threads: undefined };
    await (await LLM.load(TINY_STORIES, unset)).dispose();
    await failure('REQUEST_INVALID', () => load({ draftTokens: null as never }));
    for (const prompt of [[1.5], [Number.NaN], [3, 2 ** 32]]) {
      const { message } = await failure('REQUEST_INVALID', () => llm.generate(prompt, { maxTokens: 1 }));
      expect(message).to.match(/prompt\[\d\] must be a token id/);
    }
    const circle: Record<string, unknown> = {};
    circle.items = circle;
    const schema = z.int();
    const wrong: readonly (readonly [code: ErrorCode, options: unknown])[] = [
      ...[null, 0, 'x'].map((options) => ['REQUEST_INVALID', options] as const),
      ...[null, 0, 'x', {}].map((one) => ['REQUEST_INVALID', { schema: one }] as const),
      ...[10n, null, Symbol('s')].map((seed) => ['REQUEST_INVALID', { seed, temperature: 1 }] as const),
      ['REQUEST_INVALID', { schema, guide: { regex: 'a' } }],
      ['REQUEST_INVALID', { follows: {} }],
      ['OPTION_UNKNOWN', { template: { enable_thinking: false } }],
      ...[10n, circle].map((jsonSchema) => ['GUIDE_INVALID', { guide: { jsonSchema } }] as const),
      ['GUIDE_INVALID', { guide: { regex: 'a', afer: '</think>' } }],
    ];
    for (const [code, options] of wrong) await failure(code, () => llm.generate(PROMPT, options as never));
    const unsaid: object = { schema: undefined };
    expect((await llm.generate(PROMPT, { ...unsaid, maxTokens: 1 })).text).to.not.equal('');
    await failure('REQUEST_INVALID', () => openModel(null as never));
    await failure('REQUEST_INVALID', () => estimateMemory({} as never));
    const files = { input: TINY_STORIES, output: '', quantize: 'w8a16' } as const;
    await failure('REQUEST_INVALID', () => quantizeCheckpoint(files));
    await failure('OPTION_UNKNOWN', () => exportModel({ modelPath: TINY_STORIES, out: 'x' } as never));
  });

  it('takes requests as long as the model, with a cache for those that are usual', async () => {
    const long = await load({ maxPositionEmbeddings: 10_000, maxNumSeqs: 2 });
    try {
      expect(long.maxModelLen).to.equal(10_000);
      expect(long.runner.numBlocks).to.equal(Math.ceil(10_000 / 32));
    } finally {
      await long.dispose();
    }
    const usual = await load({ maxPositionEmbeddings: 10_000, maxNumSeqs: 3 });
    expect(usual.runner.numBlocks).to.equal((3 * 4096) / 32);
    await usual.dispose();
    const short = await load({ maxModelLen: 100, sampling: { maxTokens: 7 } });
    expect(short.maxModelLen).to.equal(100);
    expect((await short.generate(PROMPT, { ignoreEos: true })).tokens).to.have.length(7);
    const { message } = await failure('REQUEST_TOO_LONG', () => short.generate(PROMPT, { maxTokens: 100 }));
    expect(message).to.match(/maxModelLen/);
    await short.dispose();
  });

  it('keeps weights and cache within the budget', async () => {
    const budget = 24 * 2 ** 20;
    const small = await load({ memoryBudget: '24MiB', maxNumSeqs: 64 });
    try {
      const { weightBytes, cacheBytes } = small.runner.memory();
      // Tables of positions come on top, once the cache's size is known.
      expect(weightBytes + cacheBytes).to.be.within(budget * 0.9, budget * 1.01);
    } finally {
      await small.dispose();
    }
  });

  it('shares the blocks of a prompt among its n answers', async () => {
    const fresh = await load();
    try {
      const tokens = Array.from({ length: 200 }, (_, i) => 3 + ((i * 29) % 100));
      await fresh.generate(tokens, { n: 4, maxTokens: 4, temperature: 1, ignoreEos: true });
      expect(fresh.stats.prefixHitTokens).to.equal(3 * 192);
    } finally {
      await fresh.dispose();
    }
  });

  it('disposes with work under way: requests reject, and nothing is called afterwards', async () => {
    const other = await load();
    const running = await other.start(PROMPT, { ignoreEos: true });
    await running[Symbol.asyncIterator]().next();
    await other[Symbol.asyncDispose]();
    const { cause } = await failure('REQUEST_ABORTED', () => running.result);
    expect(cause).to.have.property('code', 'ENGINE_DISPOSED');
    await failure('ENGINE_DISPOSED', () => other.generate(PROMPT));
    await other.dispose();
  });
});

describe('loading and disposing', function () {
  const isAll = process.env.ATB_TEST_ALL !== undefined;
  this.timeout(1_200_000);

  it(`leaves nothing behind: ${isAll ? 1000 : 40} loads with an answer each grow the process by less than 5 MiB`, () => {
    const program = join(import.meta.dirname, 'load-many.js');
    // A small room for young objects: how large V8 makes it is no growth of ours.
    const flags = ['--expose-gc', '--max-semi-space-size=1'];
    const bound = 5 * 2 ** 20;
    const args = [program, isAll ? '1000' : '40', `${bound}`];
    const { stdout, stderr } = spawnSync(process.execPath, [...flags, ...args], { encoding: 'utf8' });
    expect(stdout, stderr).to.match(/^-?\d+\n$/);
    expect(Number(stdout)).to.be.lessThan(bound);
  });
});

describe('a chat session', function () {
  this.timeout(60_000);
  /** Renders messages as their contents, one to a line: the bundled model has no template of its own. */
  const chatTemplate = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}";
  let llm: LLM;
  before(async () => {
    llm = await LLM.load(TINY_STORIES, { threads: 2, blockSize: 32, chatTemplate });
  });
  after(() => llm.dispose());

  it('keeps what was said, and computes each turn only what is new', async () => {
    const chat = llm.chat({ system: 'Tell stories.' });
    const first = await chat.ask('Once upon a time there was a little girl named Lily.', { maxTokens: 60 });
    expect(chat.messages.map(({ role }) => role)).to.deep.equal(['system', 'user', 'assistant']);
    const before = llm.stats;
    await chat.ask('The end. Another one.', { maxTokens: 20 });
    const queried = llm.stats.prefixQueriedTokens - before.prefixQueriedTokens;
    const hits = llm.stats.prefixHitTokens - before.prefixHitTokens;
    expect(hits).to.be.greaterThan(0);
    expect(queried - hits).to.be.lessThan(64);
    expect(chat.messages[2]?.content).to.equal(first);
    chat.reset();
    expect(chat.messages).to.deep.equal([{ role: 'system', content: 'Tell stories.' }]);
  });

  it('leaves out the oldest turns when the dialogue has become too long, seldom and many at once', async () => {
    const chat = llm.chat({ system: 'Tell stories.' });
    const leftOut: number[] = [];
    for (let turn = 0; turn < 14; turn++) {
      await chat.ask(`Turn ${turn}: once there was a dog who wanted to play in the park.`, {
        maxTokens: 50,
        ignoreEos: true,
      });
      leftOut.push(chat.leftOut);
    }
    expect(chat.messages).to.have.length(1 + 28);
    expect(chat.leftOut).to.be.greaterThan(0);
    expect(leftOut.every((count) => count % 2 === 0)).to.equal(true);
    expect(new Set(leftOut).size).to.be.lessThan(5);
    const long = 'word '.repeat(2000);
    await failure('REQUEST_TOO_LONG', () => chat.ask(long));
    expect(chat.messages).to.have.length(1 + 28);
  });

  it('keeps an answer as far as it came when it is broken off, and one at a time', async () => {
    const chat = llm.chat();
    for await (const { text } of chat.send('Once upon a time', { ignoreEos: true })) {
      await failure('REQUEST_INVALID', () => chat.ask('Are you there?'));
      if (text !== '') break;
    }
    expect(chat.messages).to.have.length(2);
    expect(chat.messages[1]?.content).to.not.equal('');
    await failure('REQUEST_ABORTED', () => chat.ask('More', { signal: AbortSignal.abort() }));
    expect(chat.messages).to.have.length(2);
    // Nothing has come of this answer: its text may still be the beginning of a stop string.
    const brief = llm.chat();
    for await (const { text } of brief.send('Hi', { guide: { choice: ['aaaa'] }, stop: ['aaaaa'] })) {
      expect(text).to.equal('');
      break;
    }
    expect(brief.messages).to.have.length(0);
  });
});
