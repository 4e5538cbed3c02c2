import { expect } from 'chai';
import { LLMEngine } from '../../src/engine/llm-engine.js';
import { DraftModel } from '../../src/runner/draft-model.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { temporaryFolder } from '../weights/safetensors-writer.js';
import { markovProbabilities, VOCABULARY, writeMarkovModel } from './markov-model.js';

const SEQUENCES = 5;
const REQUESTS = 104;
const TOKENS = 500;
const TEMPERATURE = 0.9;
/** A draft that is right about two times of three. */
const NOISE = 0.15;

/**
 * Of chi-square with `freedom` degrees, what a ten-thousandth of samples exceeds, by Wilson's and Hilferty's approximation.
 * Seeds are fixed: either the draws are good, or the test always fails.
 */
const chiSquareLimit = (freedom: number): number => {
  const spread = 2 / (9 * freedom);
  return freedom * (1 - spread + 3.719 * Math.sqrt(spread)) ** 3;
};

describe('the distribution of tokens that are drawn with guesses', function () {
  this.timeout(60_000);
  const folder = temporaryFolder();
  const loading = { threads: 1, blockSize: 128, numBlocks: 25 } as const;
  let [target, draft]: ModelRunner[] = [];
  before(async () => {
    target = await ModelRunner.load({ ...loading, modelPath: writeMarkovModel(folder('target'), 0) });
    draft = await ModelRunner.load({ ...loading, modelPath: writeMarkovModel(folder('draft'), NOISE) });
  });
  after(() => {
    target?.dispose();
    draft?.dispose();
  });

  for (const [name, draftTokens] of [
    ['looked up', 2],
    ['of a draft model', 2],
  ] as const)
    it(`is the model's own where they are ${name} (chi-square, ${REQUESTS * TOKENS} draws)`, async () => {
      const isModel = name === 'of a draft model';
      const runner = target as ModelRunner;
      const engine = new LLMEngine(runner, {
        ...{ maxBatchSize: SEQUENCES, maxPrefillTokens: 512, maxModelLen: 512, chunkedPrefill: true },
        ...{ draftTokens, prefixCaching: false },
        ...(isModel && { draftModel: new DraftModel(draft as ModelRunner, VOCABULARY) }),
        draftLength: (_rate, _sequences, most) => most,
      });
      const counts = new Float64Array(VOCABULARY ** 3);
      const answers = Array.from({ length: REQUESTS }, (_, i) =>
        engine.generate([i % VOCABULARY], {
          ...{ temperature: TEMPERATURE, seed: 1000 + i, maxTokens: TOKENS, ignoreEos: true },
        }),
      );
      for (const { result } of answers) {
        const { tokens } = await result;
        for (const [at, token] of tokens.entries()) {
          const [a, b] = tokens.slice(Math.max(0, at - 2), at) as [number, number?];
          if (b !== undefined) (counts[(a * VOCABULARY + b) * VOCABULARY + token] as number)++;
        }
      }
      const { draftedTokens, acceptedTokens } = engine.stats;
      await engine.dispose();
      // Otherwise nothing was tested: neither guesses that were right nor guesses that were wrong.
      expect(acceptedTokens).to.be.above(3000);
      expect(draftedTokens - acceptedTokens).to.be.above(3000);
      const likelihoods = markovProbabilities(0, TEMPERATURE);
      let [chiSquare, cells] = [0, 0];
      const compare = (found: number, expected: number): void => {
        chiSquare += (found - expected) ** 2 / expected;
        cells++;
      };
      for (let pair = 0; pair < VOCABULARY ** 2; pair++) {
        const found = counts.subarray(pair * VOCABULARY, (pair + 1) * VOCABULARY);
        const total = found.reduce((sum, count) => sum + count, 0);
        // Tokens that are hardly ever expected count as one: of so few, chi-square would be no approximation.
        let [rare, rareExpected] = [0, 0];
        for (const [token, count] of found.entries()) {
          const expected = total * (likelihoods[pair % VOCABULARY]?.[token] as number);
          if (expected >= 5) compare(count, expected);
          else [rare, rareExpected] = [rare + count, rareExpected + expected];
        }
        if (rareExpected > 1) compare(rare, rareExpected);
        cells--;
      }
      expect(cells).to.be.above(100);
      expect(chiSquare).to.be.below(chiSquareLimit(cells));
    });
});
