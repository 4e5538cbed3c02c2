import { join } from 'node:path';
import { expect } from 'chai';
import { DECODE, type GraphKind, PREFILL, SPLITFUSE } from '../../src/graph/graph-kind.js';
import { PASSES, type PassSelection } from '../../src/graph/passes/index.js';
import { BlockManager } from '../../src/kv-cache/block-manager.js';
import { availableIsas } from '../../src/native/index.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { Sequence } from '../../src/scheduler/sequence.js';
import { caseDirectory, DTYPES, type OracleCase, oracleCases, readReference } from '../oracle/fixtures.js';

const NAMES = PASSES.map((pass) => pass.name);
const TINY_STORIES = join(import.meta.dirname, '../../../examples/models/tiny-stories');

const load = (
  path: string,
  oracleCase: OracleCase,
  passes: PassSelection,
  isa = availableIsas()[0] as string,
) =>
  ModelRunner.load({
    modelPath: path,
    dtype: DTYPES[oracleCase.dtype],
    isa,
    threads: 2,
    blockSize: 32,
    numBlocks: 8,
    maxPositionEmbeddings: 256,
    passes,
  });

/** Computes tokens [start, end) of a sequence in one step: their logits, or in decode those of the only one. */
async function step(runner: ModelRunner, kind: GraphKind, sequence: Sequence, start: number, end: number) {
  const entry = { sequence, start, count: end - start, sample: false, scores: true };
  const { logits } = await runner.run({ kind, entries: [entry] }, { logits: true });
  return [...(logits as { data: Float32Array }).data];
}

/** A sequence with blocks for all of its tokens. */
function sequenceOf(runner: ModelRunner, promptTokens: ArrayLike<number>): Sequence {
  const sequence = new Sequence({ id: 1, promptTokens, maxTokens: 1 });
  const { numBlocks, blockSize } = runner;
  new BlockManager({ numBlocks, blockSize }).grow(sequence.blockTable, promptTokens.length);
  return sequence;
}

/** Logits of a prompt's tokens: most of them in a prefill, some in split-fuse, the last three by decode. */
async function mixedLogits(runner: ModelRunner, prompt: Int32Array): Promise<number[]> {
  const sequence = sequenceOf(runner, prompt);
  const [chunk, decode] = [prompt.length - 23, prompt.length - 3];
  const logits = await step(runner, PREFILL, sequence, 0, chunk);
  logits.push(...(await step(runner, SPLITFUSE, sequence, chunk, decode)));
  for (let at = decode; at < prompt.length; at++)
    logits.push(...(await step(runner, DECODE, sequence, at, at + 1)));
  return logits;
}

const longest = async (oracleCase: OracleCase): Promise<Int32Array> => {
  const prompts = (await readReference(oracleCase)).map(({ prompt }) => prompt);
  return prompts.sort((a, b) => b.length - a.length)[0] as Int32Array;
};

const largestDifference = (a: readonly number[], b: readonly number[]): number => {
  expect(a.length).to.equal(b.length);
  return a.reduce((max, value, i) => Math.max(max, Math.abs(value - (b[i] as number))), 0);
};

const caseOf = (name: string): OracleCase => oracleCases.find((found) => found.name === name) as OracleCase;

describe('graph passes on the engine', function () {
  this.timeout(120_000);
  const selections: PassSelection[] = [
    'all',
    ...NAMES.map((name) => [name]),
    ...NAMES.map((name) => NAMES.filter((other) => other !== name)),
  ];

  for (const name of ['llama-f32', 'llama-tied-f32', 'mistral-f32', 'qwen2-f32', 'qwen3-f32']) {
    it(`change no logit of ${name} by more than f32 rounds, alone or together`, async () => {
      const oracleCase = caseOf(name);
      const directory = caseDirectory(oracleCase);
      try {
        const prompt = await longest(oracleCase);
        const logitsWith = async (passes: PassSelection): Promise<number[]> => {
          const runner = await load(directory.path, oracleCase, passes);
          try {
            return await mixedLogits(runner, prompt);
          } finally {
            runner.dispose();
          }
        };
        const plain = await logitsWith('none');
        // Sums in the same order; only SwiGLU is computed by another kernel, whose exponential may differ in its last bit.
        for (const passes of selections)
          expect(largestDifference(await logitsWith(passes), plain), String(passes)).to.be.at.most(2e-5);
      } finally {
        directory.remove();
      }
    });
  }

  for (const isa of availableIsas()) {
    for (const name of ['llama-bf16', 'qwen3-bf16', 'mistral-f16-f16']) {
      it(`move logits of ${name} by no more than roundings, and tie them less, ${isa} kernels`, async () => {
        const oracleCase = caseOf(name);
        const directory = caseDirectory(oracleCase);
        try {
          const prompt = await longest(oracleCase);
          const logitsWith = async (passes: PassSelection): Promise<number[]> => {
            const runner = await load(directory.path, oracleCase, passes, isa);
            try {
              return await mixedLogits(runner, prompt);
            } finally {
              runner.dispose();
            }
          };
          const [plain, fused] = [await logitsWith('none'), await logitsWith('all')];
          // Either is off by roundings; together they differ by twice what one may be off.
          const { max } = oracleCase.rounding as { max: number };
          expect(largestDifference(fused, plain)).to.be.at.most(2 * max);
          expect(new Set(fused).size, 'unrounded logits tie less').to.be.greaterThan(new Set(plain).size);
        } finally {
          directory.remove();
        }
      });

      it(`let ${name}'s prefill attend to the cache bit for bit as split-fuse does, ${isa} kernels`, async () => {
        const oracleCase = caseOf(name);
        const directory = caseDirectory(oracleCase);
        const runner = await load(directory.path, oracleCase, 'all', isa).finally(directory.remove);
        try {
          const sequence = sequenceOf(runner, await longest(oracleCase));
          const prefill = await step(runner, PREFILL, sequence, 0, sequence.promptLen);
          expect(await step(runner, SPLITFUSE, sequence, 0, sequence.promptLen)).to.deep.equal(prefill);
        } finally {
          runner.dispose();
        }
      });
    }
  }
});

describe('a decode step of tiny-stories', () => {
  const LAYERS = 6;
  const decodeStats = async (passes: PassSelection, batch = 1) => {
    const runner = await ModelRunner.load({ modelPath: TINY_STORIES, threads: 2, numBlocks: 64, passes });
    const blocks = new BlockManager({ numBlocks: 64, blockSize: runner.blockSize });
    const sequences = Array.from({ length: batch }, (_, id) => {
      const promptTokens = Int32Array.from({ length: 150 }, (_, i) => (i * 7 + id) % 1500);
      const sequence = new Sequence({ id, promptTokens, maxTokens: 1 });
      blocks.grow(sequence.blockTable, promptTokens.length);
      return sequence;
    });
    const run = (kind: GraphKind, start: number, end: number) => {
      const entries = sequences.map((sequence) => ({ sequence, start, count: end - start, sample: false }));
      return runner.run({ kind, entries });
    };
    try {
      await run(PREFILL, 0, 100);
      // With one block and with two, so that every size was seen.
      await run(DECODE, 100, 101);
      await run(DECODE, 149, 150);
      const warm = runner.graphStats(DECODE);
      for (let at = 101; at < 140; at++) await run(DECODE, at, at + 1);
      return { warm, after: runner.graphStats(DECODE) };
    } finally {
      runner.dispose();
    }
  };

  it('takes at most six barriers a layer, no more than without passes', async () => {
    for (const batch of [1, 16, 32]) {
      const { after } = await decodeStats('all', batch);
      // Beside the layers: the embedding, the two position tables, the head and its sampler.
      expect(after.barriers, `${batch} sequences`).to.be.within(1, 6 * LAYERS + 4);
      expect(after.barriers).to.be.at.most((await decodeStats('none', batch)).after.barriers);
    }
  });

  it('plans nothing and grows nothing once it is warm', async () => {
    const { warm, after } = await decodeStats('all');
    expect(after.runs).to.equal(warm.runs + 39);
    expect(after.plans, after.lastPlanReason).to.equal(warm.plans);
    expect(after.arenaBytes).to.equal(warm.arenaBytes);
  });
});
