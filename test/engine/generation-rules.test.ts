import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { LLM } from '../../src/engine/llm.js';
import { LLMEngine } from '../../src/engine/llm-engine.js';
import { parseGenerationConfig } from '../../src/sampling/generation-config.js';

const ROOT = join(import.meta.dirname, '../../..');
/** Made with transformers: `tools/oracle/make_generation_fixtures.py`. */
const { cases, newTokens } = JSON.parse(
  readFileSync(join(ROOT, 'test/fixtures/generation-rules.json'), 'utf8'),
) as {
  readonly newTokens: number;
  readonly cases: readonly {
    readonly prompt: readonly number[];
    readonly config: Readonly<Record<string, unknown>>;
    readonly tokens: readonly number[];
  }[];
};

describe('what a checkpoint asks of its texts', function () {
  this.timeout(60_000);
  let llm: LLM;
  before(async () => {
    llm = await LLM.load(join(ROOT, 'examples/models/tiny-stories'), {
      threads: 1,
      blockSize: 32,
      dtype: 'f32',
    });
  });
  after(() => llm.dispose());

  /** An engine of the same model under another generation_config.json. */
  function engineOf(config: object): LLMEngine {
    const file = { max_new_tokens: newTokens, eos_token_id: [1, 6], ...config };
    const { sampling, warnings } = parseGenerationConfig(file, 'g.json');
    expect(warnings).to.deep.equal([]);
    const { postprocessor } = llm.text;
    const limits = { maxBatchSize: 2, maxPrefillTokens: 64, maxModelLen: 128, chunkedPrefill: false };
    return new LLMEngine(llm.runner, { ...limits, postprocessor, samplingDefaults: sampling });
  }

  for (const { prompt, config, tokens } of cases)
    it(`is as transformers has it: ${JSON.stringify(config)} after ${prompt.length} tokens`, async () => {
      const found = await engineOf(config).generate(prompt).result;
      expect(found.tokens).to.deep.equal(tokens);
    });

  it('matters in each case that is compared', () => {
    const keys = new Set(cases.flatMap(({ config }) => Object.keys(config)));
    expect([...keys]).to.include.members([
      ...['begin_suppress_tokens', 'bad_words_ids', 'sequence_bias', 'no_repeat_ngram_size'],
      ...['forced_eos_token_id', 'exponential_decay_length_penalty', 'min_length'],
    ]);
  });

  it('gives way to a guide, and to a request that goes on behind the ends of texts', async () => {
    const engine = engineOf({ forced_eos_token_id: 6, no_repeat_ngram_size: 1 });
    const grammar = await llm.compileGuide({ regex: 'aaaaaaaaaaaaaaaa' });
    const guided = await engine.generate([0, 10], { maxTokens: 30 }, { grammar }).result;
    expect(guided.text).to.equal('a'.repeat(16));
    const { tokens } = await engine.generate([0, 10], { maxTokens: 4, ignoreEos: true }).result;
    expect(tokens).to.have.length(4);
    expect(tokens.at(-1)).to.not.equal(6);
  });
});
