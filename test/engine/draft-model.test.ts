import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { LLM } from '../../src/engine/llm.js';
import { LLMEngine } from '../../src/engine/llm-engine.js';
import type { Drafter } from '../../src/engine/llm-engine-options.js';
import { PARunner } from '../../src/engine/pa-runner.js';
import { DraftModel } from '../../src/runner/draft-model.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { theMost } from '../../src/scheduler/drafting.js';
import { failure, temporaryFolder } from '../weights/safetensors-writer.js';
import { writeMarkovModel } from './markov-model.js';

const MODELS = join(import.meta.dirname, '../../../examples/models');
const TARGET = join(MODELS, 'tiny-stories');
const DRAFT = join(MODELS, 'tiny-stories-draft');

describe('a draft model', function () {
  this.timeout(120_000);
  const folder = temporaryFolder();

  it('changes no answer of any kind of request', async () => {
    const requests = [
      { temperature: 0, maxTokens: 60 },
      { temperature: 0.8, seed: 3, maxTokens: 60, n: 2 },
      { temperature: 1, seed: 4, maxTokens: 60, repetitionPenalty: 1.2, logprobs: 2, logitBias: { 40: 2 } },
      { temperature: 0.7, seed: 5, maxTokens: 80, stop: ['.'], minTokens: 20, presencePenalty: 0.5 },
      { temperature: 1, seed: 6, maxTokens: 60, guide: { regex: '(?: the cat)+ sat' } },
      { temperature: 0.9, seed: 7, maxTokens: 40, topK: 20, topP: 0.9, minP: 0.01, promptLogprobs: 1 },
    ];
    const loading = { threads: 2, blockSize: 32, maxNumSeqs: 6 };
    const answersOf = async (options: { readonly draftModelPath?: string }) => {
      const llm = await LLM.load(TARGET, { ...loading, ...options });
      try {
        const prompt = 'Mia had a red ball. One day';
        const answers = await Promise.all(requests.map((request) => llm.generate(prompt, request)));
        for (const request of requests) answers.push(await llm.generate(prompt, request));
        const beams = await llm.beamSearch(prompt, { beamWidth: 3, maxTokens: 8 });
        const facts = answers.flatMap(({ outputs, promptLogprobs }) =>
          outputs.map(({ ttftMs: _, ...fact }) => ({ ...fact, promptLogprobs })),
        );
        return { facts: [facts, beams], stats: llm.stats, memory: llm.draft?.runner.memory() };
      } finally {
        await llm.dispose();
      }
    };
    const plain = await answersOf({});
    const drafted = await answersOf({ draftModelPath: DRAFT });
    expect(drafted.facts).to.deep.equal(plain.facts);
    expect([plain.stats.draftedTokens, plain.stats.draftSpeedUp]).to.deep.equal([0, 1]);
    expect(drafted.stats.draftedTokens).to.be.above(0);
    expect(drafted.stats.draftSpeedUp).to.be.above(0);
    expect(drafted.memory?.cacheBytes).to.be.above(0);
  });

  it('shares its answers with run-pa, and says what it did', async () => {
    const options = { modelPath: TARGET, draftModelPath: DRAFT, threads: 2, maxOutputLength: 120 };
    const runner = await PARunner.load(options);
    const { answers, metrics } = await runner.infer({ kind: 'texts', prompts: ['Once upon a time'] });
    await runner.dispose();
    expect(answers[0]?.tokens.length).to.be.above(20);
    expect(metrics.guesses?.drafted).to.be.above(0);
    // Everything but the first token, which the prompt brings.
    expect(metrics.decodeTokens).to.equal((answers[0]?.tokens.length ?? 0) - 1);
  });

  it('is refused where its tokens are others, which both are named', async () => {
    const { message } = await failure('DRAFT_VOCABULARY_DIFFERS', () =>
      LLM.load(writeMarkovModel(folder('few'), 0), { draftModelPath: DRAFT, loadTokenizer: false }),
    );
    expect(message).to.match(
      /tiny-stories-draft cannot guess for .*few: the one has 1536 tokens, the other 6/,
    );
    cpSync(DRAFT, folder('swapped'), { recursive: true });
    const file = folder('swapped', 'tokenizer.json');
    const tokenizer = JSON.parse(readFileSync(file, 'utf8'));
    const { vocab } = tokenizer.model;
    [vocab.a, vocab.b] = [vocab.b, vocab.a];
    writeFileSync(file, JSON.stringify(tokenizer));
    const swapped = await failure('DRAFT_VOCABULARY_DIFFERS', () =>
      LLM.load(TARGET, { draftModelPath: folder('swapped') }),
    );
    expect(swapped.message).to.match(
      /swapped cannot .*tiny-stories: token \d+ is "b" in the one and "a" in the/,
    );
    await failure('REQUEST_INVALID', () => LLM.load(TARGET, { draftModelPath: DRAFT, draftTokens: 0 }));
    await failure('REQUEST_INVALID', () => LLM.load(TARGET, { draftModelPath: DRAFT, draftTokens: 16 }));
  });

  it('takes its share of the memory budget', async () => {
    const loading = { threads: 1, blockSize: 32, memoryBudget: 16 * 2 ** 20, maxNumSeqs: 64 };
    const llm = await LLM.load(TARGET, { ...loading, draftModelPath: DRAFT });
    const held = [llm.runner, llm.draft?.runner].map((runner) => runner?.memory());
    await llm.dispose();
    const bytes = held.reduce((sum, each) => sum + (each?.weightBytes ?? 0) + (each?.cacheBytes ?? 0), 0);
    // Tables of positions are not counted.
    expect(bytes).to.be.within(15.9 * 2 ** 20, 16.2 * 2 ** 20);
  });

  describe('over runners', () => {
    let runner: ModelRunner;
    let small: ModelRunner;
    before(async () => {
      const loading = { threads: 1, blockSize: 32, numBlocks: 24 };
      runner = await ModelRunner.load({ ...loading, modelPath: TARGET });
      small = await ModelRunner.load({ ...loading, modelPath: TARGET });
    });
    after(() => {
      runner.dispose();
      small.dispose();
    });
    const engineWith = (draftModel: Drafter) =>
      new LLMEngine(runner, {
        ...{ maxBatchSize: 2, maxPrefillTokens: 256, maxModelLen: 400, chunkedPrefill: true },
        ...{ draftModel, draftTokens: 3, draftLength: theMost },
      });
    const prompt = Array.from({ length: 300 }, (_, i) => 10 + ((i * 37) % 900));
    const greedy = { temperature: 0, maxTokens: 24, ignoreEos: true };

    it('finds what it computed for another request that began alike', async () => {
      const computed: number[] = [];
      const counting = new Proxy(small, {
        get(target, name) {
          const member: unknown = Reflect.get(target, name);
          if (typeof member !== 'function') return member;
          return (...args: Parameters<ModelRunner['run']>) => {
            if (name === 'run') computed.push(args[0].entries.reduce((sum, { count }) => sum + count, 0));
            return Reflect.apply(member, target, args) as unknown;
          };
        },
      });
      const engine = engineWith(new DraftModel(counting, runner.config.vocabSize));
      const first = await engine.generate(prompt, greedy).result;
      const before = computed.reduce((sum, count) => sum + count, 0);
      expect(before).to.be.within(300, 300 + 2 * 24);
      // Its prompt came in two parts, of 256 tokens at most.
      expect(Math.max(...computed)).to.be.within(200, 256);
      const again = await engine.generate(prompt, greedy).result;
      expect(again.tokens).to.deep.equal(first.tokens);
      expect(computed.reduce((sum, count) => sum + count, 0) - before).to.be.below(90);
      // It is the target itself.
      expect(engine.stats.acceptedTokens).to.equal(engine.stats.draftedTokens);
      await engine.dispose();
    });

    it('that fails ends no answer: it is not asked again', async () => {
      const plain = await engineWith({ addSequence() {}, removeSequence() {}, guess: noGuesses }).generate(
        prompt,
        greedy,
      ).result;
      for (const broken of ['addSequence', 'guess', 'removeSequence'] as const) {
        let calls = 0;
        const drafter: Drafter = {
          addSequence() {},
          removeSequence() {},
          guess: noGuesses,
          [broken]: () => {
            calls++;
            throw new Error('broken');
          },
        };
        const engine = engineWith(drafter);
        for (let i = 0; i < 3; i++)
          expect((await engine.generate(prompt, greedy).result).tokens).to.deep.equal(plain.tokens);
        await engine.dispose();
        expect(calls).to.equal(broken === 'removeSequence' ? 3 : 1);
      }
    });

    it('guesses as far as both models reach', async () => {
      const { config } = small;
      const limited = (limits: Partial<typeof config>): ModelRunner => {
        const changed: Partial<ModelRunner> = { config: { ...config, ...limits } };
        return new Proxy(small, {
          get(target, name) {
            if (name in changed) return Reflect.get(changed, name);
            const member: unknown = Reflect.get(target, name);
            return typeof member === 'function' ? member.bind(target) : member;
          },
        });
      };
      const guessesOf = async (draft: DraftModel, tokens: number[]): Promise<number> => {
        const engine = engineWith(draft);
        await engine.generate(tokens, greedy).result;
        await engine.dispose();
        return engine.stats.draftedTokens;
      };
      const { vocabSize } = config;
      const reach = (maxPositionEmbeddings: number) =>
        guessesOf(new DraftModel(limited({ maxPositionEmbeddings }), vocabSize), prompt);
      expect(await reach(512)).to.be.above(15);
      expect(await reach(310)).to.be.within(1, 9);
      // The target's next token, whatever it is, is beyond one of the vocabularies.
      expect(await guessesOf(new DraftModel(small, 1), prompt)).to.equal(0);
      expect(await guessesOf(new DraftModel(limited({ vocabSize: 1000 }), vocabSize), [1000, 5])).to.equal(0);
    });
  });
});

const noGuesses: Drafter['guess'] = async ({ entries }) => ({
  drafts: entries.map(() => []),
  passes: 0,
  isSteady: true,
});
