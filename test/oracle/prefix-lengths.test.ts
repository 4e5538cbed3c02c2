import { expect } from 'chai';
import { LLMEngine } from '../../src/engine/llm-engine.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { Postprocessor } from '../../src/tokenizer/postprocessor.js';
import { caseDirectory, oracleCases } from './fixtures.js';

/** Keys in these models depend on the length of the prompt, in that one they do not. */
const CASES = [
  ['llama-dynamic-f32', 0],
  ['llama-longrope-f32', 0],
  ['qwen3-f32', 96],
] as const;

describe('prompts of different lengths that begin alike', function () {
  this.timeout(60_000);
  for (const [name, expectedHits] of CASES) {
    it(`${name}: the longer finds ${expectedHits} tokens in the cache, and is answered as alone`, async () => {
      const oracleCase = oracleCases.find((each) => each.name === name);
      if (!oracleCase) throw new Error(`there is no case ${name}`);
      const directory = caseDirectory(oracleCase);
      const runner = await ModelRunner.load({
        modelPath: directory.path,
        dtype: 'f32',
        threads: 2,
        blockSize: 32,
        numBlocks: 16,
        maxPositionEmbeddings: 256,
      });
      const answer = async (prompts: readonly number[][]) => {
        const engine = new LLMEngine(runner, {
          maxBatchSize: 2,
          maxPrefillTokens: 256,
          maxModelLen: 256,
          chunkedPrefill: true,
          postprocessor: new Postprocessor(undefined, []),
        });
        let logprobs: number[] = [];
        for (const prompt of prompts) {
          const result = await engine.generate(prompt, { maxTokens: 8, ignoreEos: true, logprobs: 0 }).result;
          logprobs = result.logprobs.map(({ logprob }) => logprob);
        }
        await engine.dispose();
        return { logprobs, hits: engine.stats.prefixHitTokens };
      };
      try {
        const long = Array.from({ length: 200 }, (_, i) => 3 + ((i * 7) % 50));
        const alone = await answer([long]);
        const after = await answer([long.slice(0, 100), long]);
        expect(after.hits).to.equal(expectedHits);
        expect(after.logprobs).to.deep.equal(alone.logprobs);
      } finally {
        runner.dispose();
        directory.remove();
      }
    });
  }
});
