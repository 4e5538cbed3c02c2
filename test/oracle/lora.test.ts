import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { LLMEngine } from '../../src/engine/llm-engine.js';
import { ModelRunner, type ModelRunnerOptions } from '../../src/runner/model-runner.js';
import { openModel } from '../../src/runner/open-model.js';
import { familyCheckpoint } from './families.js';
import { readTensors } from './fixtures.js';
import { greedyAnswers } from './generate.js';
import { BEST_ISA, isasInTurn } from './isas.js';
import { largestDifference, promptLogits, smallestCosine } from './logits.js';
import { type SeededWeights, seededSafetensors } from './seeded-weights.js';
import { visionCheckpoint } from './vision.js';

const FIXTURES = join(import.meta.dirname, '../../../test/fixtures/lora');
const TOLERANCE = 2e-4;
const CONTEXT = 64;

/** What peft computes with adapters beside a checkpoint (tools/oracle/make_lora_fixtures.py). */
interface LoraCase {
  readonly tokens: readonly number[];
  readonly rows: readonly number[];
  readonly adapters: Readonly<Record<string, AdapterCase>>;
}
interface AdapterCase {
  readonly config: Readonly<Record<string, unknown>>;
  readonly weights: SeededWeights;
  readonly greedy: readonly number[];
}

const CASES = readdirSync(FIXTURES).flatMap((file) => (file.endsWith('.json') ? [file.slice(0, -5)] : []));
const caseOf = (name: string): LoraCase => JSON.parse(readFileSync(join(FIXTURES, `${name}.json`), 'utf8'));

function writeAdapter(folder: string, { config, weights }: Pick<AdapterCase, 'config' | 'weights'>): string {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify(config));
  writeFileSync(join(folder, 'adapter_model.safetensors'), seededSafetensors(weights));
  return folder;
}

/** A case's checkpoint with the folders of its adapters below it. */
function checkpointOf(name: string) {
  const checkpoint = familyCheckpoint(name);
  const { adapters } = caseOf(name);
  const loraModules = Object.fromEntries(
    Object.entries(adapters).map(([adapter, files]) => [
      adapter,
      writeAdapter(join(checkpoint.path, 'adapters', adapter), files),
    ]),
  );
  return { ...checkpoint, loraModules };
}

async function withRunner<T>(
  name: string,
  options: Partial<ModelRunnerOptions>,
  work: (runner: ModelRunner) => Promise<T>,
): Promise<T> {
  const { path, loraModules, remove } = checkpointOf(name);
  const setting = { numBlocks: 12, blockSize: 32, maxPositionEmbeddings: CONTEXT, threads: 2 };
  try {
    const runner = await ModelRunner.load({
      modelPath: path,
      loraModules,
      dtype: 'f32',
      ...setting,
      ...options,
    });
    try {
      return await work(runner);
    } finally {
      runner.dispose();
    }
  } finally {
    remove();
  }
}

/** The recorded rows of the logits of a case's prompt. */
async function logitsOf(
  runner: ModelRunner,
  { tokens, rows }: LoraCase,
  adapter: string,
): Promise<Float32Array> {
  const place = adapter === '' ? undefined : runner.adapters.indexOf(adapter);
  const all = await promptLogits(runner, Int32Array.from(tokens), [], place);
  const width = all.length / tokens.length;
  return Float32Array.from(rows.flatMap((row) => [...all.subarray(row * width, (row + 1) * width)]));
}

describe('LoRA adapters', function () {
  this.timeout(120_000);

  for (const [turn, name] of CASES.entries()) {
    const recorded = caseOf(name);
    const names = ['', ...Object.keys(recorded.adapters)];
    const expected = () => readTensors(join(FIXTURES, `${name}.safetensors`));

    for (const isa of isasInTurn(turn))
      it(`beside ${name} give the logits of peft (${isa})`, () =>
        withRunner(name, { isa }, async (runner) => {
          const tensors = await expected();
          for (const adapter of names) {
            const found = await logitsOf(runner, recorded, adapter);
            const difference = largestDifference(found, tensors.get(adapter)?.data as Float32Array);
            expect(difference, adapter).to.be.at.most(TOLERANCE);
          }
        }));

    it(`beside ${name} run in bf16`, () =>
      withRunner(name, { isa: BEST_ISA, dtype: 'bf16' }, async (runner) => {
        const tensors = await expected();
        for (const adapter of Object.keys(recorded.adapters)) {
          const found = await logitsOf(runner, recorded, adapter);
          const reference = tensors.get(`${adapter}_bf16`)?.data as Float32Array;
          const width = found.length / recorded.rows.length;
          // What the adapter adds is rounded three times on its way.
          expect(smallestCosine(found, reference, width), adapter).to.be.at.least(0.999);
        }
      }));

    it(`beside ${name} add the same to integers`, () =>
      withRunner(name, { isa: BEST_ISA, quantize: 'w8a16' }, async (runner) => {
        const tensors = await expected();
        const alone = await logitsOf(runner, recorded, '');
        const change = (logits: Float32Array, from: Float32Array) =>
          logits.map((x, i) => x - (from[i] as number));
        for (const adapter of Object.keys(recorded.adapters)) {
          const found = change(await logitsOf(runner, recorded, adapter), alone);
          const [reference, from] = [adapter, ''].map((of) => tensors.get(of)?.data as Float32Array);
          const wanted = change(reference as Float32Array, from as Float32Array);
          expect(smallestCosine(found, wanted, found.length), adapter).to.be.at.least(0.99);
        }
      }));

    it(`beside ${name} answer alike in any company, and share no blocks with other adapters`, () =>
      withRunner(name, { isa: BEST_ISA, numBlocks: 16 }, async (runner) => {
        const prompt = Int32Array.from(recorded.tokens);
        const asked = names.map((adapter) => ({ prompt, adapter: adapter === '' ? undefined : adapter }));
        const setting = { maxModelLen: CONTEXT, prefixCaching: true, chunkedPrefill: false };
        const together = await greedyAnswers(runner, asked, setting);
        for (const [at, adapter] of names.entries()) {
          const greedy = recorded.adapters[adapter]?.greedy;
          if (greedy)
            expect(together.answers[at]?.tokens.slice(0, greedy.length), adapter).to.deep.equal(greedy);
        }
        const chunked = await greedyAnswers(
          runner,
          asked,
          { ...setting, maxPrefillTokens: 16, chunkedPrefill: true, maxBatchSize: 2 },
          1,
        );
        expect(chunked.answers).to.deep.equal(together.answers);
        // What one adapter computed is found again by itself alone.
        const engine = new LLMEngine(runner, { maxBatchSize: 1, maxPrefillTokens: 512, ...setting });
        const cached: number[] = [];
        for (const adapter of ['some', undefined, 'everything', 'some']) {
          const { result } = engine.generate(prompt, { maxTokens: 1, ignoreEos: true }, { adapter });
          cached.push((await result).cachedTokens);
        }
        await engine.dispose();
        expect(cached).to.deep.equal([0, 0, 0, 32]);
      }));
  }

  it('are asked for in `forward`, too', () =>
    withRunner('phi3', {}, async (runner) => {
      const { tokens } = caseOf('phi3');
      const inputIds = Int32Array.of(...tokens, ...tokens);
      const positionIds = Int32Array.from(inputIds, (_, at) => at % tokens.length);
      const slots = Int32Array.from(inputIds, (_, at) => (at < tokens.length ? at : at - tokens.length + 64));
      const inputLengths = Int32Array.of(tokens.length, tokens.length);
      const inputs = {
        inputIds,
        positionIds,
        isPrefill: true,
        blockTables: [
          [0, 1],
          [2, 3],
        ],
        slots,
        inputLengths,
      };
      const { data } = await runner.forward({ ...inputs, adapters: [undefined, 'some'] });
      const width = data.length / 2;
      const tensors = await readTensors(join(FIXTURES, 'phi3.safetensors'));
      for (const [at, adapter] of ['', 'some'].entries()) {
        const { data: logits } = tensors.get(adapter) as { data: Float32Array };
        const last = logits.slice(-width);
        expect(largestDifference(data.slice(at * width, (at + 1) * width), last)).to.be.at.most(TOLERANCE);
      }
      for (const adapters of [['some'], ['none', undefined]])
        expect(await runner.forward({ ...inputs, adapters }).catch(String)).to.contain(
          'REQUEST_INVALID: adapters',
        );
    }));

  describe('are refused by name', () => {
    const { adapters } = caseOf('glm4-bias');
    const { some } = adapters as { readonly some: AdapterCase };

    /** What opening says of an adapter beside that checkpoint. */
    async function refusal(files: Partial<AdapterCase>, options: object = {}): Promise<string> {
      const { path, remove } = familyCheckpoint('glm4-bias');
      try {
        const mine = writeAdapter(join(path, 'mine'), { ...some, ...files });
        await openModel({ modelPath: path, loraModules: { mine }, ...options });
        return 'nothing was refused';
      } catch (error) {
        return String(error);
      } finally {
        remove();
      }
    }

    it('by what peft says of them', async () => {
      for (const [key, value] of [
        ['use_dora', true],
        ['modules_to_save', ['lm_head']],
        ['rank_pattern', { q_proj: 2 }],
        ['peft_type', 'IA3'],
        ['bias', 'all'],
        ['r', 0],
      ] as const)
        expect(await refusal({ config: { ...some.config, [key]: value } }), key).to.match(
          new RegExp(`CONFIG_INVALID: .*mine/adapter_config\\.json: ${key} must be`),
        );
      expect(await refusal({ config: { ...some.config, r: 5 } })).to.match(
        /WEIGHT_SHAPE_MISMATCH: weight "model\.layers\.1\..+lora_A.@mine.weight" must be \[5,/,
      );
    });

    it('by what their tensors are of', async () => {
      const { tensors } = some.weights;
      const with_ = (more: SeededWeights['tensors']): Partial<AdapterCase> => ({
        weights: { ...some.weights, tensors: { ...tensors, ...more } },
      });
      const matrix = (rows: number, columns: number) => ({ shape: [rows, columns], mean: 0, std: 1 });
      expect(await refusal(with_({ 'base_model.model.model.embed_tokens.weight': matrix(4, 4) }))).to.match(
        /WEIGHT_ADAPTER_UNSUPPORTED: .*adapter_model\.safetensors holds 1 tensors .*embed_tokens/,
      );
      for (const linear of ['lm_head', 'model.layers.0.mlp.experts.3.up_proj'])
        expect(
          await refusal(
            with_({
              [`base_model.model.${linear}.lora_A.weight`]: matrix(6, 4),
              [`base_model.model.${linear}.lora_B.weight`]: matrix(4, 6),
            }),
          ),
          linear,
        ).to.match(/WEIGHT_ADAPTER_UNREAD: the adapter "mine" has 2 tensors/);
    });

    it('where they are of what sees', async () => {
      const { path, remove } = visionCheckpoint('qwen2_vl');
      const seen = 'base_model.model.visual.blocks.0.attn.proj';
      const matrix = (shape: readonly number[]) => ({ shape, mean: 0, std: 1 });
      const tensors = {
        [`${seen}.lora_A.weight`]: matrix([6, 64]),
        [`${seen}.lora_B.weight`]: matrix([64, 6]),
      };
      const mine = writeAdapter(join(path, 'mine'), { ...some, weights: { ...some.weights, tensors } });
      const loaded = ModelRunner.load({ modelPath: path, loraModules: { mine }, numBlocks: 2 });
      expect(await loaded.catch(String)).to.match(
        /WEIGHT_ADAPTER_UNREAD: the adapter "mine" has 2 tensors .*visual/,
      );
      remove();
    });

    it('by how they are asked for', async () => {
      expect(await refusal({}, { loraModules: { mine: '/nowhere' } })).to.match(
        /CONFIG_INVALID: \/nowhere\/adapter_config\.json: is missing/,
      );
      expect(await refusal({}, { use: 'embed' })).to.contain('REQUEST_INVALID: loraModules must be absent');
      await withRunner('phi3', {}, async (runner) => {
        const engine = new LLMEngine(runner, {
          maxBatchSize: 1,
          maxPrefillTokens: 64,
          chunkedPrefill: false,
          maxModelLen: CONTEXT,
        });
        expect(() => engine.generate([1, 5], {}, { adapter: 'other' })).to.throw(
          'REQUEST_INVALID: adapter must be one of everything, some, found "other"',
        );
        await engine.dispose();
      });
    });
  });
});
