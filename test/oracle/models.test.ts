import { expect } from 'chai';
import { LLMEngine } from '../../src/engine/llm-engine.js';
import { availableIsas } from '../../src/native/index.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { Postprocessor } from '../../src/tokenizer/postprocessor.js';
import {
  caseDirectory,
  DTYPES,
  type OracleCase,
  type OraclePrompt,
  oracleCases,
  readReference,
} from './fixtures.js';
import { largestDifference, promptLogits, smallestCosine } from './logits.js';

const BLOCK_SIZE = 32;
/** The longest prompt, its continuation, and room beyond the fixtures' context of 64. */
const CONTEXT = 256;

const load = (path: string, { dtype }: OracleCase, isa: string) =>
  ModelRunner.load({
    modelPath: path,
    dtype: DTYPES[dtype],
    isa,
    threads: 2,
    blockSize: BLOCK_SIZE,
    numBlocks: 40,
    maxPositionEmbeddings: CONTEXT,
  });

/** Greedy tokens agree up to the first whose margin is within what rounding may change. */
function expectGreedy(found: readonly number[], { greedy, margins }: OraclePrompt, errorBound: number): void {
  const uncertain = margins.findIndex((margin) => margin <= errorBound);
  const certain = uncertain === -1 ? greedy.length : uncertain;
  expect(found.slice(0, certain)).to.deep.equal([...greedy.slice(0, certain)]);
}

for (const isa of availableIsas()) {
  describe(`agreement with transformers, ${isa} kernels`, () => {
    for (const oracleCase of oracleCases) {
      it(oracleCase.name, async function () {
        this.timeout(120_000);
        const directory = caseDirectory(oracleCase);
        const runner = await load(directory.path, oracleCase, isa).finally(directory.remove);
        const engine = new LLMEngine(runner, {
          postprocessor: new Postprocessor(undefined, []),
          maxBatchSize: 8,
          maxPrefillTokens: 512,
          maxModelLen: CONTEXT,
          chunkedPrefill: false,
        });
        try {
          const references = await readReference(oracleCase);
          // A margin is a difference of two logits, each as far off as rounding puts it.
          const errorBound = 2 * (oracleCase.rounding?.max ?? 2e-4);
          for (const reference of references) {
            const logits = await promptLogits(runner, reference.prompt);
            const width = reference.logits.shape[1] as number;
            if (oracleCase.dtype === 'float32')
              expect(largestDifference(logits, reference.logits.data)).to.be.at.most(2e-4);
            else expect(smallestCosine(logits, reference.logits.data, width)).to.be.at.least(0.9995);
          }
          const options = { maxTokens: 32, ignoreEos: true };
          const alone: (readonly number[])[] = [];
          for (const { prompt } of references)
            alone.push((await engine.generate(prompt, options).result).tokens);
          const together = await Promise.all(
            references.map(({ prompt }) => engine.generate(prompt, options).result),
          );
          for (const [i, reference] of references.entries()) {
            if (reference.isGreedyComparable)
              expectGreedy(alone[i] as readonly number[], reference, errorBound);
            expect((together[i] as { tokens: readonly number[] }).tokens).to.deep.equal(alone[i]);
          }
        } finally {
          await engine.dispose();
          runner.dispose();
        }
      });
    }
  });
}
