import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { getModel, loadModels } from '../../src/models/get-model.js';
import { LlamaRouter } from '../../src/models/llama/index.js';
import '../../src/runner/router-parts.js';
import { writeConfigs } from './family-models.js';

describe('what a router knows of text', () => {
  let folder = '';
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'atb-parts-'));
    writeConfigs(folder);
    writeFileSync(
      join(folder, 'llama/generation_config.json'),
      JSON.stringify({ eos_token_id: [7, 9], temperature: 0.5, do_sample: true }),
    );
    await loadModels();
  });
  after(() => rmSync(folder, { recursive: true }));

  it('comes from the checkpoint, with or without its tokenizer', async () => {
    const router = await getModel(join(folder, 'llama'));
    const text = await router.part('textProcessing')({ loadTokenizer: false });
    expect(text.tokenizer).to.equal(undefined);
    expect(text.samplingDefaults).to.deep.include({ temperature: 0.5 });
    const failure = await router.part('tokenizer').then(
      () => '',
      (error: Error) => error.message,
    );
    expect(failure).to.match(/TOKENIZER_.*tokenizer/);
  });

  it('is made once, and in the way of the family if it has one', async () => {
    class SilentRouter extends LlamaRouter {
      made = 0;
      protected override parts() {
        return {
          tokenizer: async () => {
            this.made++;
            return undefined;
          },
        };
      }
    }
    const router = new SilentRouter(join(folder, 'llama'), { model_type: 'llama' });
    expect(router.part('tokenizer')).to.equal(router.part('tokenizer'));
    expect(await router.part('tokenizer')).to.equal(undefined);
    expect(router.made).to.equal(1);
  });
});
