import { expect } from 'chai';
import type { GenerationResult } from '../../src/engine/generation.js';
import { LLMEngine } from '../../src/engine/llm-engine.js';
import type { LLMEngineOptions } from '../../src/engine/llm-engine-options.js';
import type { KvQuantOptions } from '../../src/kv-cache/kv-quant.js';
import { availableIsas } from '../../src/native/index.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { Postprocessor } from '../../src/tokenizer/postprocessor.js';
import type { QuantizeOptions } from '../../src/weights/quantization.js';
import { caseDirectory, DTYPES, type OracleCase, oracleCases, readReference } from './fixtures.js';

const MAX_TOKENS = 24;
const SAMPLING = { maxTokens: MAX_TOKENS, ignoreEos: true, temperature: 0.8, topP: 0.95, logprobs: 3 };

/** Everything of a result that must not depend on the company that a request was computed in. */
const bits = ({ tokens, logprobs }: GenerationResult) => ({
  tokens,
  logprobs: logprobs.map(({ logprob, topTokens, topLogprobs }) => [logprob, ...topTokens, ...topLogprobs]),
});

type Quantization = QuantizeOptions & KvQuantOptions;

interface Setting extends Partial<LLMEngineOptions>, Quantization {
  readonly numBlocks?: number;
  readonly threads?: number;
  readonly blockSize?: number;
  /** How often the same prompts are asked, one time after the other. */
  readonly rounds?: number;
}

/** Runs the prompts together under a setting; each has a seed of its own. */
async function generateAll(
  path: string,
  { dtype }: OracleCase,
  isa: string,
  prompts: readonly Int32Array[],
  setting: Setting,
) {
  const {
    numBlocks = 64,
    threads = 2,
    blockSize = 32,
    rounds = 1,
    quantize,
    quantGroupSize,
    kvQuant,
    ...engineOptions
  } = setting;
  const runner = await ModelRunner.load({
    modelPath: path,
    ...(quantize !== undefined && { quantize }),
    ...(quantGroupSize !== undefined && { quantGroupSize }),
    kvQuant,
    dtype: DTYPES[dtype],
    isa,
    threads,
    blockSize,
    numBlocks,
    maxPositionEmbeddings: 256,
  });
  const options = { maxBatchSize: 8, maxPrefillTokens: 1024, maxModelLen: 256, chunkedPrefill: false };
  const engine = new LLMEngine(runner, {
    postprocessor: new Postprocessor(undefined, []),
    ...options,
    ...engineOptions,
  });
  try {
    let results: GenerationResult[] = [];
    for (let round = 0; round < rounds; round++)
      results = await Promise.all(
        prompts.map((prompt, i) => engine.generate(prompt, { ...SAMPLING, seed: 1000 + i }).result),
      );
    return { results: results.map(bits), stats: engine.stats };
  } finally {
    await engine.dispose();
    runner.dispose();
  }
}

const caseOf = (name: string) => oracleCases.find((each) => each.name === name) as OracleCase;

const FLOATS = [
  'llama-bf16',
  'mistral-bf16',
  'qwen2-bf16',
  'qwen3-f32',
  'mistral-f16-f16',
  'llama-dynamic-f32',
  'llama-longrope-f32',
];
/** Biases, tied embeddings and a group that is shorter than the others are among them. */
const INTEGERS: readonly (readonly [name: string, options: Quantization])[] = [
  ['llama-bf16', { quantize: 'w8a16' }],
  ['qwen2-bf16', { quantize: 'w8a8_dynamic' }],
  ['llama-tied-bf16', { quantize: 'w4a16', quantGroupSize: 32 }],
  ['qwen2-bf16', { quantize: 'w4a8_dynamic', quantGroupSize: 32 }],
  ['llama-bf16', { kvQuant: 'int8' }],
  ['mistral-bf16', { kvQuant: 'int8' }],
  ['qwen3-f32', { kvQuant: 'int8' }],
  ['mistral-f16-f16', { kvQuant: 'int8' }],
  ['qwen2-bf16', { quantize: 'w4a16', quantGroupSize: 32, kvQuant: 'int8' }],
];
const chosen = [
  ...FLOATS.map((name) => ({ what: name, oracleCase: caseOf(name), options: {} })),
  ...INTEGERS.map(([name, options]) => ({
    what: [name, ...Object.entries(options).map((option) => option.join(' '))].join(', '),
    oracleCase: caseOf(name),
    options,
  })),
];

for (const isa of availableIsas()) {
  describe(`tokens and log-probs are the same in any company, ${isa} kernels`, function () {
    this.timeout(180_000);
    for (const { what: title, oracleCase, options } of chosen) {
      it(title, async () => {
        const directory = caseDirectory(oracleCase);
        try {
          // The longest first: it grows beyond its blocks while the others hold the rest.
          const prompts = (await readReference(oracleCase))
            .map(({ prompt }) => prompt)
            .sort((a, b) => b.length - a.length);
          const run = (setting: Setting) =>
            generateAll(directory.path, oracleCase, isa, prompts, { ...options, ...setting });
          const { results: alone } = await run({ maxBatchSize: 1 });
          const expectSame = async (what: string, setting: Setting) => {
            const { results, stats } = await run(setting);
            expect(results, what).to.deep.equal(alone);
            return stats;
          };
          await expectSame('batched', {});
          await expectSame('one thread', { threads: 1 });
          await expectSame('prompts in chunks of 24 beside decoding sequences', {
            maxPrefillTokens: 24,
            chunkedPrefill: true,
          });
          await expectSame('larger blocks', { blockSize: 128, numBlocks: 16 });
          const { prefixHitTokens } = await expectSame('prompts found in the cache', {
            rounds: 2,
            maxPrefillTokens: 24,
            chunkedPrefill: true,
          });
          expect(prefixHitTokens).to.be.greaterThan(0);
          // Room for the longest sequence and little more: the others are preempted and computed anew.
          const { preemptions } = await expectSame('preempted', { numBlocks: 8 });
          expect(preemptions).to.be.greaterThan(0);
        } finally {
          directory.remove();
        }
      });
    }
  });
}
