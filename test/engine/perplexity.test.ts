import { expect } from 'chai';
import { perplexity } from '../../src/engine/perplexity.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { caseDirectory, type OracleCase, oracleCases, readReference } from '../oracle/fixtures.js';
import { failure } from '../weights/safetensors-writer.js';

/** Sum of -log p of each token but the first, by logits that transformers recorded. */
function recordedNll(prompt: Int32Array, logits: Float32Array, vocab: number): number {
  let sum = 0;
  for (let i = 0; i + 1 < prompt.length; i++) {
    const row = Array.from(logits.subarray(i * vocab, (i + 1) * vocab));
    const total = row.reduce((all, logit) => all + Math.exp(logit), 0);
    sum += Math.log(total) - (row[prompt[i + 1] as number] as number);
  }
  return sum;
}

describe('perplexity', () => {
  const oracleCase = oracleCases.find(({ name }) => name === 'llama-f32') as OracleCase;
  let runner: ModelRunner;
  before(async () => {
    const directory = caseDirectory(oracleCase);
    const options = { modelPath: directory.path, threads: 2, blockSize: 32, numBlocks: 8 } as const;
    runner = await ModelRunner.load(options).finally(directory.remove);
  });
  after(() => runner.dispose());

  it('of one window is that of the logits that transformers computed', async () => {
    for (const { prompt, logits } of await readReference(oracleCase)) {
      if (prompt.length < 2) continue;
      const found = await perplexity(runner, prompt, { contextLen: prompt.length });
      const expected = recordedNll(prompt, logits.data, logits.shape[1] as number) / (prompt.length - 1);
      expect(found.meanNll).to.be.closeTo(expected, 1e-4);
      expect(found.perplexity).to.equal(Math.exp(found.meanNll));
      expect([found.scoredTokens, found.windows]).to.deep.equal([prompt.length - 1, 1]);
    }
  });

  it('of several windows scores each on its own, with a token before each when texts begin with one', async () => {
    const longest = (await readReference(oracleCase)).reduce((a, b) =>
      a.prompt.length > b.prompt.length ? a : b,
    ).prompt;
    const tokens = longest.subarray(0, 50);
    const all = await perplexity(runner, tokens, { contextLen: 21, bosTokenId: 1 });
    expect([all.windows, all.scoredTokens]).to.deep.equal([3, 50]);
    let nll = 0;
    for (const [start, end] of [
      [0, 20],
      [20, 40],
      [40, 50],
    ] as const) {
      const window = [1, ...tokens.subarray(start, end)];
      const { meanNll, scoredTokens } = await perplexity(runner, window, { contextLen: window.length });
      nll += meanNll * scoredTokens;
    }
    expect(all.meanNll).to.be.closeTo(nll / 50, 1e-12);
  });

  it('does not depend on how many logits fit into a step', async () => {
    const tokens = Int32Array.from({ length: 90 }, (_, i) => (i * 37) % 131);
    const whole = await perplexity(runner, tokens, { contextLen: 64 });
    const chunked = await perplexity(runner, tokens, { contextLen: 64, maxLogits: 131 * 7 });
    expect(chunked).to.deep.equal(whole);
  });

  it('refuses windows without a token to score or beyond the cache, and too short a text', async () => {
    for (const contextLen of [1, 257, 2.5])
      await failure('REQUEST_INVALID', () => perplexity(runner, [1, 2, 3], { contextLen }));
    await failure('REQUEST_INVALID', () => perplexity(runner, [1], { contextLen: 8 }));
  });
});
