import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { PARunnerOptions } from '../../src/engine/pa-options.js';
import { type PAInputs, PARunner } from '../../src/engine/pa-runner.js';
import { AtbError } from '../../src/errors.js';
import { openSafetensors } from '../../src/weights/safetensors-file.js';
import { caseDirectory, type OracleCase, oracleCases } from '../oracle/fixtures.js';
import { failure } from '../weights/safetensors-writer.js';

const TINY_STORIES = join(import.meta.dirname, '../../../examples/models/tiny-stories');
const ENDLESS = { ignoreEos: true, maxTokens: 12 };
/** So warm that two seeds do not draw the same answer by chance: at 1, two of six do in one run of 150. */
const SAMPLED = { ...ENDLESS, temperature: 5 };
/** Whoever's prompt has it gets logits that are not numbers. */
const POISON = 77;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What the process was warned of while `action` ran. */
async function warningsOf(action: () => Promise<unknown>): Promise<string[]> {
  const warnings: string[] = [];
  const { emitWarning } = process;
  process.emitWarning = (warning: string | Error) => warnings.push(String(warning));
  try {
    await action();
    await turn();
  } finally {
    process.emitWarning = emitWarning;
  }
  return warnings;
}

describe('infer', function () {
  this.timeout(60_000);
  const prompts = [Int32Array.of(0, 10, 20, 30), Int32Array.of(0, 11), Int32Array.of(0, 12, 22)];
  const inputs: PAInputs = { kind: 'tokens', prompts };
  let runner: PARunner;
  const load = (options: Partial<PARunnerOptions> = {}) =>
    PARunner.load({ modelPath: TINY_STORIES, threads: 2, maxBatchSize: 4, maxOutputLength: 64, ...options });
  before(async () => {
    runner = await load();
  });
  after(() => runner.dispose());

  describe('of a model that gives no numbers for one token', () => {
    const [oracleCase] = oracleCases.filter(({ name }) => name === 'llama-f32') as [OracleCase];
    const directory = caseDirectory(oracleCase);
    const options = { modelPath: directory.path, loadTokenizer: false, maxInputLength: 64, isa: 'reference' };
    let clean: PARunner;
    let poisoned: PARunner;
    before(async () => {
      clean = await load(options);
      const file = join(directory.path, 'model.safetensors');
      const embedding = (await openSafetensors(file)).tensors.get('model.embed_tokens.weight');
      if (embedding === undefined) throw new Error('no embedding');
      const bytes = readFileSync(file);
      const rowBytes = embedding.bytes / (embedding.shape[0] as number);
      bytes.fill(0xff, embedding.offset + POISON * rowBytes, embedding.offset + (POISON + 1) * rowBytes);
      writeFileSync(file, bytes);
      poisoned = await load(options);
    });
    after(async () => {
      await clean.dispose();
      await poisoned.dispose();
      directory.remove();
    });

    it('settles every prompt, answers and errors side by side', async () => {
      const given = [Int32Array.of(1, 2, 3), Int32Array.of(1, POISON, 3), Int32Array.of(4, 5)];
      const expected = await clean.infer({ kind: 'tokens', prompts: given }, ENDLESS);
      const { answers } = await poisoned.infer({ kind: 'tokens', prompts: given }, ENDLESS);
      expect([answers[0], answers[2]]).to.deep.equal([expected.answers[0], expected.answers[2]]);
      const { error, ...rest } = answers[1] ?? {};
      expect(rest).to.deep.equal({
        index: 1,
        prompt: `1,${POISON},3`,
        tokens: [],
        promptTokens: 3,
        finishReason: 'error',
      });
      expect(error).to.be.instanceOf(AtbError).with.property('code', 'REQUEST_NOT_FINITE');
    });

    it('fails a single request in the same way', async () => {
      await failure('REQUEST_NOT_FINITE', () => poisoned.generate(Int32Array.of(POISON), ENDLESS).result);
    });
  });

  it('answers what came before an abort, and is silent after it has settled', async () => {
    const { signal, abort } = abortable();
    const heard: string[] = [];
    const result = await runner.infer(
      inputs,
      { ...ENDLESS, maxTokens: 60 },
      {
        signal,
        onText(index, text) {
          heard.push(`${index} ${text}`);
          if (heard.length === 5) abort();
        },
      },
    );
    const atEnd = heard.length;
    for (const { error, finishReason, text, index, tokens } of result.answers) {
      expect(error).to.have.property('code', 'REQUEST_ABORTED');
      expect(finishReason).to.equal('abort');
      expect(tokens.length).to.be.within(1, 59);
      const pieces = heard.filter((each) => each.startsWith(`${index} `)).map((each) => each.slice(2));
      expect(pieces.join('')).to.equal(text);
    }
    for (let i = 0; i < 20; i++) await turn();
    expect(heard.length).to.equal(atEnd);
    const already = await runner.infer(inputs, ENDLESS, { signal });
    expect(already.answers.map(({ tokens, finishReason }) => [tokens.length, finishReason])).to.deep.equal(
      new Array(3).fill([0, 'abort']),
    );
  });

  it('stops what it started when a later prompt is refused', async () => {
    const overflowing = { ...SAMPLED, seed: Number.MAX_SAFE_INTEGER };
    const { detail } = await failure('REQUEST_INVALID', () => runner.infer(inputs, overflowing));
    expect(detail).to.include({ field: 'seed' });
    // A step that is in flight still ends; what went on after it would be counted among the steps of the last.
    await runner.infer(inputs, { ...ENDLESS, maxTokens: 1 });
    const { metrics } = await runner.infer(inputs, { ...ENDLESS, maxTokens: 2 });
    expect(metrics).to.include({ prefillTokens: 9, decodeTokens: 3 });
  });

  it('is not harmed by a listener that throws, at once or later, and warns once', async () => {
    const quiet = (await runner.infer(inputs, ENDLESS)).answers;
    const failing = [
      () => {
        throw new Error('listener');
      },
      async () => {
        await turn();
        throw new Error('listener');
      },
    ];
    for (const onText of failing) {
      const warnings = await warningsOf(async () => {
        expect((await runner.infer(inputs, ENDLESS, { onText })).answers).to.deep.equal(quiet);
      });
      expect(warnings).to.have.length(1);
      expect(warnings[0]).to.match(/onText failed and is not called again: Error: listener/);
    }
  });

  it('warns of no leak, however many prompts share a signal', async () => {
    const { signal } = new AbortController();
    const many: PAInputs = {
      kind: 'tokens',
      prompts: Array.from({ length: 30 }, (_, i) => Int32Array.of(i)),
    };
    const warnings = await warningsOf(async () => {
      await runner.infer(many, { maxTokens: 2 }, { signal });
      const alone = Array.from({ length: 30 }, () => runner.generate(Int32Array.of(1), ENDLESS, { signal }));
      await Promise.all(alone.map(({ result }) => result));
    });
    expect(warnings).to.deep.equal([]);
  });

  it('draws anew for each prompt without a seed, and says with which', async () => {
    const again: PAInputs = { kind: 'tokens', prompts: new Array(3).fill(prompts[0]) };
    const first = (await runner.infer(again, SAMPLED)).answers;
    const second = (await runner.infer(again, SAMPLED)).answers;
    const all = [...first, ...second];
    expect(new Set(all.map(({ tokens }) => tokens.join())).size).to.equal(6);
    expect(new Set(all.map(({ seed }) => seed)).size).to.equal(6);
    for (const { seed, tokens } of all) {
      const alone = await runner.generate(prompts[0] as Int32Array, { ...SAMPLED, seed }).result;
      expect([alone.tokens, alone.seed]).to.deep.equal([tokens, seed]);
    }
  });

  it('gives the seed of each prompt, and none where nothing is drawn', async () => {
    const seeded = await runner.infer(inputs, { ...SAMPLED, seed: 41 });
    expect(seeded.answers.map(({ seed }) => seed)).to.deep.equal([41, 42, 43]);
    const greedy = await runner.infer(inputs, ENDLESS);
    for (const answer of greedy.answers) expect(answer).not.to.have.property('seed');
  });

  it('lets its own options win over those of load', async () => {
    const other = await load({ sampling: { maxTokens: 5, ignoreEos: true, temperature: 1, seed: 1 } });
    try {
      const lengths = async (sampling: object) =>
        (await other.infer(inputs, sampling)).answers.map(({ tokens }) => tokens.length);
      expect(await lengths({})).to.deep.equal([5, 5, 5]);
      expect(await lengths({ maxTokens: 9 })).to.deep.equal([9, 9, 9]);
      const { answers } = await other.infer(inputs, { temperature: 0, maxTokens: 12, seed: undefined });
      expect(answers.map(({ tokens }) => tokens)).to.deep.equal(
        (await runner.infer(inputs, ENDLESS)).answers.map(({ tokens }) => tokens),
      );
    } finally {
      await other.dispose();
    }
  });

  it('counts its own steps only, although another runs beside it', async () => {
    const one: PAInputs = { kind: 'tokens', prompts: prompts.slice(0, 2) };
    const [short, long] = await Promise.all([
      runner.infer(one, { ...ENDLESS, maxTokens: 2 }),
      runner.infer(one, { ...ENDLESS, maxTokens: 20 }),
    ]);
    expect(short.metrics.decodeStepMs.length).to.be.below(long.metrics.decodeStepMs.length);
    expect(long.metrics.decodeStepMs.length).to.be.within(19, 21);
  });
});

function abortable(): { readonly signal: AbortSignal; abort(): void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort('enough') };
}
