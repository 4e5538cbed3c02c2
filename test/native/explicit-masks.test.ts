import { expect } from 'chai';
import { DECODE, type GraphKind, PREFILL, SPLITFUSE } from '../../src/graph/graph-kind.js';
import type { PassSelection } from '../../src/graph/passes/index.js';
import { BlockManager } from '../../src/kv-cache/block-manager.js';
import { availableIsas } from '../../src/native/index.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { Sequence } from '../../src/scheduler/sequence.js';
import { familyCheckpoint } from '../oracle/families.js';
import { caseDirectory, type OracleCase, oracleCases } from '../oracle/fixtures.js';

/** More than the engine attends to in one piece, so that windows hide whole pieces. */
const PROMPT = Int32Array.from({ length: 300 }, (_, i) => (i * 37 + 11) % 97);

/** Logits of all tokens: most in prefill, some in split-fuse, the last ones in decode. */
async function logitsWith(path: string, dtype: 'bf16' | 'f16' | 'f32', isa: string, passes: PassSelection) {
  const blockSize = 32;
  const runner = await ModelRunner.load({
    modelPath: path,
    dtype,
    isa,
    threads: 2,
    blockSize,
    numBlocks: 16,
    maxPositionEmbeddings: 512,
    passes,
  });
  try {
    const sequence = new Sequence({ id: 1, promptTokens: PROMPT, maxTokens: 1 });
    new BlockManager({ numBlocks: 16, blockSize }).grow(sequence.blockTable, PROMPT.length);
    const rows: number[] = [];
    const step = async (kind: GraphKind, start: number, end: number): Promise<void> => {
      const entries = [{ sequence, start, count: end - start, sample: false, scores: true }];
      const { logits } = await runner.run({ kind, entries }, { logits: true });
      rows.push(...(logits as { data: Float32Array }).data);
    };
    await step(PREFILL, 0, 270);
    await step(SPLITFUSE, 270, 298);
    await step(DECODE, 298, 299);
    await step(DECODE, 299, 300);
    return rows;
  } finally {
    runner.dispose();
  }
}

/** Logits of at most 10 whose sums were added up in another order: a rounding of f32 on the way, or one of the result. */
const SUM_ORDER = { f32: 2e-5, f16: 2 ** -7, bf16: 2 ** -4 } as const;

const largestDifference = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((max, value, i) => Math.max(max, Math.abs(value - (b[i] as number))), 0);

describe('graphs with explicit masks', function () {
  this.timeout(120_000);
  for (const model of ['llama', 'mistral', 'qwen2']) {
    for (const isa of availableIsas()) {
      it(`give ${model} the bits of implicit masks in every dtype, ${isa} kernels`, async () => {
        const oracleCase = oracleCases.find(({ name }) => name === `${model}-f32`) as OracleCase;
        const directory = caseDirectory(oracleCase);
        try {
          for (const dtype of ['bf16', 'f16', 'f32'] as const) {
            const implicit = await logitsWith(directory.path, dtype, isa, ['implicit-masks']);
            const explicit = await logitsWith(directory.path, dtype, isa, 'none');
            expect(explicit.every(Number.isFinite), dtype).to.equal(true);
            // A window begins within a vector of keys; where the engine skips what is before it, sums begin elsewhere.
            if (model === 'mistral' && isa !== 'reference') {
              expect(largestDifference(explicit, implicit), dtype).to.be.at.most(SUM_ORDER[dtype]);
            } else {
              expect(explicit, dtype).to.deep.equal(implicit);
            }
          }
        } finally {
          directory.remove();
        }
      });
    }
  }

  for (const isa of availableIsas()) {
    it(`give bloom, whose heads have masks of their own, its slopes, ${isa} kernels`, async () => {
      const checkpoint = familyCheckpoint('bloom');
      try {
        for (const dtype of ['bf16', 'f16', 'f32'] as const) {
          const implicit = await logitsWith(checkpoint.path, dtype, isa, ['implicit-masks']);
          const explicit = await logitsWith(checkpoint.path, dtype, isa, 'none');
          // A mask is rounded before it is added; a slope times a distance is not.
          expect(largestDifference(explicit, implicit), dtype).to.be.at.most(SUM_ORDER[dtype]);
        }
      } finally {
        checkpoint.remove();
      }
    });
  }
});
