import { expect } from 'chai';
import { LLM } from '../../src/engine/llm.js';
import { familyCheckpoint } from '../oracle/families.js';
import { failure } from '../weights/safetensors-writer.js';

/** One prompt of several blocks of 32 tokens. */
const PROMPT = Array.from({ length: 150 }, (_, at) => 3 + ((at * 37) % 100));

for (const family of ['qwen3_next', 'lfm2-biases', 'mamba2', 'jamba'])
  describe(`the recurrent states of ${family}`, function () {
    this.timeout(60_000);
    let checkpoint: ReturnType<typeof familyCheckpoint>;
    before(() => {
      checkpoint = familyCheckpoint(family);
    });
    after(() => checkpoint.remove());

    const load = (options: object = {}) =>
      LLM.load(checkpoint.path, {
        threads: 2,
        blockSize: 32,
        maxModelLen: 256,
        loadTokenizer: false,
        dtype: 'f32',
        ...options,
      });

    it('are found with the blocks of a prompt that was seen before, and go on from there', async () => {
      await using llm = await load({ maxNumSeqs: 4 });
      const options = { maxTokens: 12, ignoreEos: true, temperature: 0, logprobs: 3 };
      const ask = (prompt: readonly number[]) => llm.generate(prompt, options);
      const first = await ask(PROMPT);
      const before = llm.stats.prefixHitTokens;
      expect(await ask(PROMPT)).to.deep.include({ tokens: first.tokens, logprobs: first.logprobs });
      expect(llm.stats.prefixHitTokens - before).to.equal(128);
      // Another end, behind which one block less is the same.
      const other = [...PROMPT.slice(0, 100), 7, 7, 7];
      const shared = await ask(other);
      await using alone = await load({ prefixCaching: false });
      const computed = await alone.generate(other, options);
      expect(shared).to.deep.include({ tokens: computed.tokens, logprobs: computed.logprobs });
    });

    it('are copied for each beam', async () => {
      const options = { beamWidth: 4, maxTokens: 40, ignoreEos: true };
      await using sharing = await load({ maxNumSeqs: 8 });
      await using computing = await load({ maxNumSeqs: 8, prefixCaching: false });
      const found = await sharing.beamSearch(PROMPT, options);
      expect(await computing.beamSearch(PROMPT, options)).to.deep.equal(found);
      expect(new Set(found.map(({ tokens }) => tokens.join())).size).to.equal(4);
    });

    it('do not go back, so guesses are refused', async () => {
      const error = await failure('OPTION_UNSUPPORTED', () => load({ draftTokens: 3 }));
      expect(error.message).to.match(/recurrent states cannot go back/);
    });
  });
