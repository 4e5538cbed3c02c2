import { expect } from 'chai';
import { PARunner } from '../../src/engine/pa-runner.js';
import { perplexity } from '../../src/engine/perplexity.js';
import { PASSES } from '../../src/graph/passes/index.js';
import type { KvQuantMode } from '../../src/kv-cache/kv-quant.js';
import { availableIsas } from '../../src/native/index.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import type { ModelRunnerOptions } from '../../src/runner/runner-options.js';
import { failure } from '../weights/safetensors-writer.js';
import { caseDirectory, DTYPES, type OracleCase, oracleCases, readReference } from './fixtures.js';
import { promptLogits, smallestCosine } from './logits.js';

const CASES = ['llama-f32', 'llama-bf16', 'mistral-bf16', 'mistral-f16-f16', 'qwen2-bf16', 'qwen3-f32'];
const chosen = oracleCases.filter(({ name }) => CASES.includes(name));

async function load(oracleCase: OracleCase, options: Partial<ModelRunnerOptions> = {}): Promise<ModelRunner> {
  const directory = caseDirectory(oracleCase);
  return ModelRunner.load({
    modelPath: directory.path,
    dtype: DTYPES[oracleCase.dtype],
    threads: 2,
    blockSize: 32,
    numBlocks: 16,
    ...options,
  }).finally(directory.remove);
}

for (const isa of availableIsas()) {
  describe(`a KV cache of int8, ${isa} kernels`, function () {
    this.timeout(120_000);
    for (const oracleCase of chosen) {
      it(`gives the logits of a float cache but for the rounding: ${oracleCase.name}`, async () => {
        const floats = await load(oracleCase, { isa });
        const integers = await load(oracleCase, { isa, kvQuant: 'int8' });
        try {
          for (const { prompt, logits } of await readReference(oracleCase)) {
            const [expected, found] = [
              await promptLogits(floats, prompt),
              await promptLogits(integers, prompt),
            ];
            // A key or value is off by up to 1/254 of its head's largest number, and the fixtures' layers are few.
            expect(smallestCosine(found, expected, logits.shape[1] as number)).to.be.at.least(0.999);
            // One token attends to itself alone, and even then to a value that was rounded.
            expect(found).to.not.deep.equal(expected);
          }
        } finally {
          floats.dispose();
          integers.dispose();
        }
      });
    }

    it('scores a text alike however many tokens a step computes', async () => {
      const runner = await load(chosen[0] as OracleCase, { isa, kvQuant: 'int8' });
      try {
        const tokens = Int32Array.from({ length: 90 }, (_, i) => (i * 37) % 131);
        const whole = await perplexity(runner, tokens, { contextLen: 64 });
        for (const rows of [1, 7, 33])
          expect(await perplexity(runner, tokens, { contextLen: 64, maxLogits: 131 * rows })).to.deep.equal(
            whole,
          );
      } finally {
        runner.dispose();
      }
    });
  });
}

describe('the option kvQuant', function () {
  this.timeout(60_000);
  const [oracleCase] = chosen.filter(({ name }) => name === 'llama-bf16') as [OracleCase];
  const { path: modelPath, remove } = caseDirectory(oracleCase);
  after(remove);
  const base = { modelPath, dtype: 'bf16', blockSize: 32, threads: 1 } as const;

  it('takes the bytes that blockBytes says', async () => {
    for (const kvQuant of ['int8', undefined] as const) {
      const runner = await ModelRunner.load({ ...base, numBlocks: 16, kvQuant });
      expect(runner.memory().cacheBytes).to.equal(16 * runner.blockBytes);
      runner.dispose();
    }
  });

  it('holds more tokens in the same budget', async () => {
    const blocksOf = async (kvQuant: KvQuantMode | undefined) => {
      const options = { loadTokenizer: false, maxBatchSize: 64, maxInputLength: 200, cacheBytes: 1 << 20 };
      const runner = await PARunner.load({ ...base, ...options, kvQuant });
      const { numBlocks } = runner.runner;
      expect(runner.runner.memory().cacheBytes).to.be.at.most(1 << 20);
      await runner.dispose();
      return numBlocks;
    };
    // Heads of 16: padded keys and values of bf16 take 96 bytes, integers and scales 40.
    expect((await blocksOf('int8')) / (await blocksOf(undefined))).to.be.closeTo(96 / 40, 0.05);
  });

  it('refuses a mode that is none before anything is loaded', async () => {
    const kvQuant = 'int4' as KvQuantMode;
    const { detail } = await failure('REQUEST_INVALID', () =>
      ModelRunner.load({ ...base, numBlocks: 4, kvQuant }),
    );
    expect(detail).to.deep.equal({ field: 'kv_quant', expected: 'one of int8', found: 'int4' });
    await failure('REQUEST_INVALID', () => PARunner.load({ ...base, loadTokenizer: false, kvQuant }));
  });

  it('refuses passes that leave prefill to attend to keys that are not rounded yet', async () => {
    const all = PASSES.map(({ name }) => name);
    const without = (...names: string[]) => all.filter((name) => !names.includes(name));
    const loaded = (passes: ModelRunnerOptions['passes']) =>
      ModelRunner.load({ ...base, numBlocks: 4, kvQuant: 'int8', ...(passes && { passes }) });
    for (const passes of ['none', without('attention-from-cache'), without('implicit-masks')] as const) {
      const { message } = await failure('OPTION_UNSUPPORTED', () => loaded(passes));
      expect(message).to.contain('kv_quant').and.to.contain('attention-from-cache');
    }
    for (const passes of [['implicit-masks', 'attention-from-cache'], without('rope-cache')])
      (await loaded(passes)).dispose();
  });
});
