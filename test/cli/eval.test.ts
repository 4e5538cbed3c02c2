import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { type EvalReport, evaluate } from '../../src/cli/eval.js';
import { FOUR_BIT_MODES, type QuantizeMode } from '../../src/weights/quantization.js';
import { failure } from '../weights/safetensors-writer.js';

const MODEL = join(import.meta.dirname, '../../../examples/models/tiny-stories');
/** Some 3000 tokens; the whole text gives the same answers. */
const TEXT = readFileSync(join(MODEL, 'held-out.txt'), 'utf8').slice(0, 12_000);

describe('atb-models eval', function () {
  this.timeout(60_000);
  const options = { modelPath: MODEL, text: TEXT, threads: 2 };
  let floats: EvalReport;
  before(async () => {
    floats = await evaluate(options);
  });

  it('gives the perplexity of a text that the model knows the kind of', () => {
    expect(floats.perplexity).to.be.within(1.2, 3);
    expect(floats.scoredTokens).to.be.above(2000);
    expect(floats.contextLen).to.equal(512);
  });

  /** The bounds on what quantising may cost. */
  const BOUNDS: Readonly<Record<QuantizeMode, number>> = {
    w8a16: 0.005,
    w8a8_dynamic: 0.01,
    w4a16: 0.05,
    w4a8_dynamic: 0.01,
  };
  for (const [mode, bound] of Object.entries(BOUNDS)) {
    const quantize = mode as QuantizeMode;
    it(`loses at most ${bound * 100} % by ${quantize}`, async () => {
      const found = await evaluate({ ...options, quantize });
      expect(found.scoredTokens).to.equal(floats.scoredTokens);
      expect(found.perplexity).not.to.equal(floats.perplexity);
      expect(found.perplexity / floats.perplexity - 1).to.be.at.most(bound);
      expect(found.weightBytes).to.be.below(
        floats.weightBytes * (FOUR_BIT_MODES.includes(quantize) ? 0.45 : 0.6),
      );
    });
  }

  it('loses less than 0.5 % more by a head of 4 bits, beside which the tied table stays floats', async () => {
    const before = await evaluate({ ...options, quantize: 'w4a8_dynamic' });
    const found = await evaluate({ ...options, quantize: 'w4a8_dynamic', quantizeHead: 'w4a8_dynamic' });
    expect(found.perplexity / before.perplexity - 1).to.be.within(1e-6, 0.005);
    expect(found.weightBytes).to.be.above(before.weightBytes);
  });

  it('loses less than 0.5 % by a KV cache of int8, with quantised weights too', async () => {
    for (const quantize of [undefined, 'w8a16'] as const) {
      const options8 = { ...options, ...(quantize && { quantize }) };
      const before = quantize ? await evaluate(options8) : floats;
      const found = await evaluate({ ...options8, kvQuant: 'int8' });
      expect(found.perplexity).not.to.equal(before.perplexity);
      expect(Math.abs(found.perplexity / before.perplexity - 1)).to.be.below(0.005);
    }
  });

  it('refuses windows beyond the context of the model', async () => {
    for (const contextLen of [1, 513])
      await failure('REQUEST_INVALID', () => evaluate({ ...options, contextLen }));
  });
});
