import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadModels } from '../../src/models/get-model.js';
import { LlamaRouter } from '../../src/models/llama/index.js';
import { registerModel } from '../../src/router/index.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { openModel } from '../../src/runner/open-model.js';
import { familyCheckpoint } from '../oracle/families.js';
import { failure, temporaryFolder } from '../weights/safetensors-writer.js';

const LLAMA = 'test/fixtures/oracle/llama';

/** Counts what is asked of it, and ends texts in its own way. */
class CountingRouter extends LlamaRouter {
  static readonly asked: string[] = [];

  protected override getConfig() {
    CountingRouter.asked.push('config');
    return super.getConfig();
  }

  override async getGenerationConfig() {
    CountingRouter.asked.push('generation');
    return { ...(await super.getGenerationConfig()), eosTokenIds: [5] };
  }
}

describe('openModel', () => {
  const path = temporaryFolder();
  before(() => loadModels());

  it('reads a directory once, for everybody who takes the result', async () => {
    registerModel('counting_llama', CountingRouter);
    const modelPath = path('counting');
    cpSync(LLAMA, modelPath, { recursive: true });
    const config = JSON.parse(readFileSync(join(modelPath, 'config.json'), 'utf8'));
    writeFileSync(
      join(modelPath, 'config.json'),
      JSON.stringify({ ...config, model_type: 'counting_llama' }),
    );
    const open = await openModel({ modelPath, loadTokenizer: false, maxPositionEmbeddings: 64 });
    const text = await open.text();
    expect(await open.text()).to.equal(text);
    expect([...text.postprocessor.eosTokenIds]).to.deep.equal([5]);
    const runners = [];
    for (const numBlocks of [2, 4])
      runners.push(await ModelRunner.load(open, { threads: 1, blockSize: 32, numBlocks }));
    expect(runners.map(({ numBlocks }) => numBlocks)).to.deep.equal([2, 4]);
    for (const runner of runners) {
      expect(runner.config).to.equal(open.config);
      expect(runner.config.maxPositionEmbeddings).to.equal(64);
      expect(runner.loadMs).to.be.above(open.openMs);
      runner.dispose();
    }
    expect(CountingRouter.asked).to.deep.equal(['config', 'generation']);
  });

  it('decides dtype, cache and quantisation from config.json and the options', async () => {
    const plain = await openModel({ modelPath: LLAMA });
    expect(plain).to.include({ dtype: 'f32', cacheDType: 'f32', quantization: undefined });
    const asked = await openModel({ modelPath: LLAMA, dtype: 'bf16', kvQuant: 'int8', quantize: 'w8a16' });
    expect(asked).to.include({ dtype: 'bf16', cacheDType: 'i8' });
    expect(asked.quantization?.('model.layers.0.mlp.down_proj', 'projection')?.desc).to.equal('W8A16');
    expect(asked.model.getWeights().some(({ quantized }) => quantized !== undefined)).to.equal(true);
  });

  it('runs a model that has learned its positions in a shorter context, and in no longer one', async () => {
    for (const name of ['gpt2', 'opt']) {
      const { path: modelPath, remove } = familyCheckpoint(name);
      try {
        const { config } = await openModel({ modelPath, maxPositionEmbeddings: 64 });
        expect(config.maxPositionEmbeddings).to.equal(64);
        const error = await failure('REQUEST_INVALID', () =>
          openModel({ modelPath, maxPositionEmbeddings: 257 }),
        );
        expect(error.message).to.match(/maxPositionEmbeddings must be at most 256, .* learned, found 257/);
      } finally {
        remove();
      }
    }
  });

  it('refuses options that make no sense before it looks at weights', async () => {
    const modelPath = path('no-weights');
    cpSync(LLAMA, modelPath, { recursive: true, filter: (file) => !file.endsWith('.safetensors') });
    for (const wrong of [
      { maxPositionEmbeddings: 0 },
      { maxPositionEmbeddings: 1.5 },
      { quantGroupSize: 64 },
    ])
      await failure('REQUEST_INVALID', () => openModel({ modelPath, ...wrong }));
    await failure('WEIGHT_CHECKPOINT_MISSING', () => openModel({ modelPath }));
  });
});
