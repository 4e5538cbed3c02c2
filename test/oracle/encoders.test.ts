import { expect } from 'chai';
import { checkModel } from '../../src/cli/check.js';
import type { FloatDType } from '../../src/dtype.js';
import { availableIsas } from '../../src/native/index.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { type EncoderReference, encoderCases, encoderCheckpoint, encoderReferences } from './encoders.js';
import { rowsOf } from './families.js';
import { BEST_ISA, isasInTurn } from './isas.js';
import { largestDifference, smallestCosine } from './logits.js';

/** Hidden states are up to ten, so this is a part in a million; vectors of texts are tested to 1e-5. */
const TOLERANCE = 2e-5;
/** Logits are sums over as many products again. */
const LOGITS_TOLERANCE = 1e-4;
const COSINE = 0.9995;

const ISAS = availableIsas();

interface Setting {
  readonly isa: string;
  readonly dtype: FloatDType;
  readonly use: 'embed' | 'rank';
  readonly threads?: number;
}

/** Runs `work` with the runner of a case. */
async function withRunner<T>(
  modelPath: string,
  { threads = 2, ...setting }: Setting,
  work: (runner: ModelRunner) => Promise<T>,
): Promise<T> {
  const runner = await ModelRunner.load({
    modelPath,
    ...setting,
    threads,
    numBlocks: 2,
    // Beyond the original context of scaled rotary embeddings.
    maxPositionEmbeddings: 128,
  });
  try {
    return await work(runner);
  } finally {
    runner.dispose();
  }
}

for (const [turn, name] of encoderCases.entries()) {
  describe(`the encoder case ${name}`, function () {
    this.timeout(120_000);
    let checkpoint: ReturnType<typeof encoderCheckpoint>;
    let references: readonly EncoderReference[];
    before(async () => {
      checkpoint = encoderCheckpoint(name);
      references = await encoderReferences(name);
    });
    after(() => checkpoint.remove());

    const isClassifier = name.endsWith('-classifier');
    const use = isClassifier ? 'rank' : 'embed';

    it('has nothing that check finds fault with: each key and each tensor read, each graph legal', async () => {
      // Without a head a decoder is another model than the one that check looks at.
      const findings = await checkModel({ modelPath: checkpoint.path, use });
      expect(findings).to.deep.equal([]);
    });

    for (const isa of isasInTurn(turn)) {
      if (!isClassifier)
        it(`agrees with transformers' hidden states in f32, ${isa} kernels`, () =>
          withRunner(checkpoint.path, { isa, dtype: 'f32', use }, async (runner) => {
            for (const reference of references) {
              const { data } = await runner.encode([reference], 'all');
              const found = rowsOf(data, reference.rows, reference.hiddenSize);
              expect(largestDifference(found, reference.hidden)).to.be.at.most(TOLERANCE);
            }
          }));

      if (!isClassifier)
        it(`agrees with f32 arithmetic on the same weights in bf16, ${isa} kernels`, () =>
          withRunner(checkpoint.path, { isa, dtype: 'bf16', use }, async (runner) => {
            for (const reference of references) {
              const { data } = await runner.encode([reference], 'all');
              const found = rowsOf(data, reference.rows, reference.hiddenSize);
              const cosine = smallestCosine(found, reference.roundedHidden, reference.hiddenSize);
              expect(cosine).to.be.at.least(COSINE);
            }
          }));
    }

    it("agrees with transformers' logits, of those that have any", async () => {
      if (references.every(({ logits }) => logits === undefined)) return;
      // Which token a classifier looks at: decoders at the last, which has seen the others.
      const row = name.startsWith('qwen') ? 'last' : 'first';
      await withRunner(checkpoint.path, { isa: BEST_ISA, dtype: 'f32', use: 'rank' }, async (runner) => {
        for (const reference of references) {
          const { data } = await runner.encode([reference], row);
          expect(data.length).to.equal(reference.logits?.length);
          expect(largestDifference(data, reference.logits as Float32Array)).to.be.at.most(LOGITS_TOLERANCE);
        }
      });
    });

    for (const dtype of ['f32', 'bf16'] as const)
      it(`gives the same bits in any company, order and number of threads, in ${dtype}`, async () => {
        const row = isClassifier ? 'first' : 'all';
        const run = (setting: Partial<Setting>, batches: readonly (readonly EncoderReference[])[]) =>
          withRunner(checkpoint.path, { isa: BEST_ISA, dtype, use, ...setting }, async (runner) => {
            const rows: number[] = [];
            for (const batch of batches) rows.push(...(await runner.encode(batch, row)).data);
            return rows;
          });
        const each = references.map((reference) => [reference]);
        const alone = await run({}, each);
        expect(await run({}, [references]), 'together').to.deep.equal(alone);
        expect(await run({ threads: 1 }, [references]), 'with one thread').to.deep.equal(alone);
        const backwards = references.toReversed();
        expect(await run({}, [backwards]), 'in another order').to.deep.equal(
          await run({}, each.toReversed()),
        );
      });
  });
}

describe('a text that is longer than a chunk of attention', function () {
  this.timeout(120_000);

  it('has the same bits in any company, and the numbers of the reference kernels', async () => {
    const checkpoint = encoderCheckpoint('gte');
    const tokenIds = Int32Array.from({ length: 700 }, (_, i) => (i * i * 7 + i * 13) % 131);
    const run = async (isa: string, before: number): Promise<Float32Array> => {
      const setting = { modelPath: checkpoint.path, isa, dtype: 'f32', use: 'embed' } as const;
      const runner = await ModelRunner.load({ ...setting, numBlocks: 8, maxPositionEmbeddings: 1024 });
      try {
        const texts = [{ tokenIds: tokenIds.subarray(0, before) }, { tokenIds }];
        const { data, shape } = await runner.encode(before === 0 ? texts.slice(1) : texts, 'all');
        return data.subarray(before * (shape[1] ?? 0));
      } finally {
        runner.dispose();
      }
    };
    try {
      const expected = await run('reference', 0);
      for (const isa of ISAS) {
        const alone = await run(isa, 0);
        expect(largestDifference(alone, expected)).to.be.at.most(TOLERANCE);
        expect([...(await run(isa, 33))]).to.deep.equal([...alone]);
      }
    } finally {
      checkpoint.remove();
    }
  });
});
