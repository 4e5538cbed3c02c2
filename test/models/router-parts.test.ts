import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { getModel, loadModels } from '../../src/models/get-model.js';
import { LlamaRouter } from '../../src/models/llama/index.js';
import { loadTextProcessing } from '../../src/runner/text-processing.js';
import type { GenerationConfig } from '../../src/sampling/generation-config.js';
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
    const text = await loadTextProcessing(router, { loadTokenizer: false });
    expect(text.tokenizer).to.equal(undefined);
    expect(text.samplingDefaults).to.deep.include({ temperature: 0.5 });
    expect([...text.postprocessor.eosTokenIds]).to.include.members([7, 9]);
    const failure = await loadTextProcessing(router, {}).then(
      () => '',
      (error: Error) => error.message,
    );
    expect(failure).to.match(/TOKENIZER_.*tokenizer/);
  });

  it('adds the end tokens of config.json to those of generation_config.json', async () => {
    const router = new LlamaRouter(join(folder, 'llama'), {
      ...(await getModel(join(folder, 'llama'))).configDict,
      eos_token_id: [9, 11],
    });
    expect((await router.getGenerationConfig()).eosTokenIds).to.deep.equal([7, 9, 11]);
    expect(router.getPostprocessor(undefined, await router.getGenerationConfig()).checkEos(11)).to.equal(
      true,
    );
  });

  it('warns of end tokens that never come', async () => {
    const { configDict } = await getModel(join(folder, 'llama'));
    const router = new LlamaRouter(join(folder, 'llama'), { ...configDict, eos_token_id: [9, 4_000_000] });
    expect((await router.getGenerationConfig()).warnings.join()).to.match(
      /eos_token_id 4000000 is beyond the vocabulary, whose last id is \d+: it ends no answer/,
    );
  });

  it('is made in the way of the family if it has one', async () => {
    class ShortRouter extends LlamaRouter {
      override async getGenerationConfig(): Promise<GenerationConfig> {
        return { ...(await super.getGenerationConfig()), eosTokenIds: [3] };
      }
    }
    const { configDict } = await getModel(join(folder, 'llama'));
    const text = await loadTextProcessing(new ShortRouter(join(folder, 'llama'), configDict), {
      loadTokenizer: false,
    });
    expect([...text.postprocessor.eosTokenIds]).to.deep.equal([3]);
  });
});
