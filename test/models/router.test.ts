import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { AtbError } from '../../src/errors.js';
import { getModel, loadModels } from '../../src/models/get-model.js';
import {
  discoverModels,
  getRouter,
  knownModelTypes,
  MODEL_TYPE_ALIASES,
  registerModel,
  withModelType,
} from '../../src/router/index.js';
import { declaredWeights } from '../../src/weights/weights.js';
import { writeConfigs } from './family-models.js';

const src = new URL('../../src/', import.meta.url).href;
const SMALL = {
  hidden_size: 8,
  intermediate_size: 16,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  vocab_size: 10,
  max_position_embeddings: 32,
};

async function rejection(promise: Promise<unknown>): Promise<AtbError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof AtbError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('getModel', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'atb-router-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const checkpoint = (config: unknown, name = 'model'): string => {
    const path = join(folder, name);
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config));
    return path;
  };

  it('finds the family that config.json names', async () => {
    writeConfigs(folder);
    for (const family of ['llama', 'mistral', 'qwen2', 'qwen3'] as const) {
      const router = await getModel(join(folder, family));
      const model = router.createModel(declaredWeights('bf16'));
      expect(model.constructor.name).to.match(new RegExp(`^Flash${family}ForCausalLMATB$`, 'i'));
      expect(model.name).to.equal(family);
      expect(router.config).to.equal(router.config);
    }
  });

  it('knows other names of a family', async () => {
    expect([...MODEL_TYPE_ALIASES]).to.deep.include(['code_llama', 'llama']);
    const router = await getModel(checkpoint({ ...SMALL, model_type: 'code_llama' }));
    expect(router.constructor.name).to.equal('LlamaRouter');
  });

  it('reads the code of that family alone, and of those that may stand within it', () => {
    const code = `
      import { getModel } from '${src}models/get-model.js';
      import { knownModelTypes } from '${src}router/index.js';
      await getModel('examples/models/tiny-stories');
      console.log(knownModelTypes().join());
      console.log((await getModel('test/fixtures/media-models/cohere2_vision')).config.textKind);`;
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });
    expect(child.stdout, child.stderr).to.equal('llama\ncohere2\n');
  });

  it('takes no model_type for a path', async () => {
    for (const modelType of ['../weights', '.', 'base', '/etc', 'llama/../qwen3']) {
      const error = await rejection(getModel(checkpoint({ ...SMALL, model_type: modelType })));
      expect(error.code, modelType).to.equal('ROUTER_UNKNOWN_MODEL');
    }
  });

  it('names the nearest and the known families for an unknown one', async () => {
    const error = await rejection(getModel(checkpoint({ ...SMALL, model_type: 'Qwen33' })));
    expect(error.code).to.equal('ROUTER_UNKNOWN_MODEL');
    expect(error.message).to.match(
      /no router for model_type "Qwen33"; nearest: qwen3; known: .*llama, .*mistral, .*qwen2, .*qwen3/,
    );
    expect((await rejection(getModel(checkpoint({ model_type: 'jukebox' })))).message).not.to.match(
      /nearest/,
    );
    expect((await rejection(getModel(checkpoint({ model_type: 'ernie4_5_moe_vl' })))).message).to.match(
      /"ernie4_5_moe_vl", which is not built: its files are for code of their own; .*; known:/,
    );
  });

  it('suggests no other architecture, whose name differs by a letter or a digit', async () => {
    for (const modelType of ['mistral9', 'ministral8', 'idefics', 'llama5', 'qwen4', 'llama_moe']) {
      const { message } = await rejection(getModel(checkpoint({ ...SMALL, model_type: modelType })));
      expect(message, modelType)
        .to.contain(`"${modelType}"`)
        .and.not.match(/nearest/);
    }
    for (const slip of ['LLaMA', 'lama', 'Qwen-2', 'mistral ']) {
      const { message } = await rejection(getModel(checkpoint({ ...SMALL, model_type: slip })));
      expect(message, slip).to.match(/nearest: (llama|qwen2|mistral);/);
    }
  });

  it('finds the family by its architecture where config.json has no model_type', async () => {
    const families: Readonly<Record<string, string>> = {
      LlamaForCausalLM: 'llama',
      MiniCPM3ForCausalLM: 'minicpm3',
      QWenLMHeadModel: 'qwen',
      ChatGLMModel: 'chatglm',
      XLMRobertaModel: 'xlm-roberta',
      XverseForCausalLM: 'xverse',
    };
    await loadModels();
    for (const [architecture, model_type] of Object.entries(families))
      for (const dict of [
        { architectures: [architecture] },
        { architectures: [architecture], model_type: null },
      ])
        expect(withModelType(dict)).to.deep.equal({ ...dict, model_type });
    for (const architectures of ['LlamaForCausalLM', [], [7], ['RwkvForCausalLM'], ['Model'], null])
      expect(withModelType({ architectures })).to.deep.equal({ architectures });
    const named = { architectures: ['LlamaForCausalLM'], model_type: 'qwen3' };
    expect(withModelType(named)).to.equal(named);
    const router = await getModel(checkpoint({ ...SMALL, architectures: ['LlamaForCausalLM'] }));
    expect(router.createModel(declaredWeights('bf16')).name).to.equal('llama');
  });

  it('says that config.json names no model_type', async () => {
    for (const config of [SMALL, { ...SMALL, model_type: null, architectures: ['RwkvForCausalLM'] }]) {
      const error = await rejection(getModel(checkpoint(config)));
      expect(error.code).to.equal('ROUTER_UNKNOWN_MODEL');
      expect(error.message).to.contain('config.json has no model_type').and.contain('llama');
    }
  });

  it('says what to give in place of a path that is no model directory', async () => {
    const file = (name: string, text = 'x'): void => {
      mkdirSync(join(folder, name, '..'), { recursive: true });
      writeFileSync(join(folder, name), text);
    };
    file('b/model.safetensors');
    file('lora/adapter_config.json', '{"base_model_name_or_path": "meta-llama/Llama-3.2-1B"}');
    file('plain-lora/adapter_config.json', '{}');
    file('models--o--n/refs/main', 'beef');
    for (const revision of ['abcd', 'beef']) file(`models--o--n/snapshots/${revision}/config.json`, '{}');
    mkdirSync(join(folder, 'models--o--empty/snapshots'), { recursive: true });
    file('meta/params.json', '{}');
    file('mistral/params.json', '{}');
    file('mistral/consolidated.safetensors');
    file('converted/model-Q4_K_M.gguf');
    file('outer/inner/config.json', '{}');
    file('outer/README.md');
    const cases: [string, RegExp][] = [
      ['b/model.safetensors', /model\.safetensors: is a file; give the folder that holds it/],
      ['b', /config.json: does not exist beside the weights/],
      ['lora', /adapter of "meta-llama\/Llama-3\.2-1B", not a model; .*--lora_modules/],
      ['plain-lora', /holds an adapter, not a model/],
      ['models--o--n', /Hugging Face cache; give ".*models--o--n\/snapshots\/beef"/],
      ['models--o--n/snapshots', /give ".*snapshots\/beef"/],
      ['models--o--empty', /Hugging Face cache; .*download the model again/],
      ['meta', /Meta's or Mistral's own format/],
      ['mistral', /Meta's or Mistral's own format/],
      ['converted', /holds GGUF files; give one of them, as ".*model-Q4_K_M\.gguf"/],
      ['outer', /give ".*outer\/inner"/],
      ['nowhere', /is not a folder: there is nothing of this name/],
    ];
    for (const [path, message] of cases) {
      const error = await rejection(getModel(join(folder, path)));
      expect(error.code, path).to.equal('CONFIG_INVALID');
      expect(error.message, path).to.match(message);
    }
    expect((await rejection(getModel('meta-llama/Llama-3.2-1B'))).message).to.contain(
      'atb-models pull meta-llama/Llama-3.2-1B',
    );
  });

  it('only ever looks a model_type up', async () => {
    for (const modelType of [
      '__proto__',
      'constructor',
      '../../llama',
      'llama\0',
      ['llama'],
      null,
      7,
      'x'.repeat(1_000_000),
    ]) {
      const error = await rejection(getModel(checkpoint({ ...SMALL, model_type: modelType })));
      expect(error.code).to.equal('ROUTER_UNKNOWN_MODEL');
      // It names all families, and little of what was asked for.
      expect(error.message.length).to.be.below(5000);
    }
  });

  it('says what is wrong with a folder or its config.json', async () => {
    const cases: [string, RegExp][] = [
      [join(folder, 'nowhere'), /"[^"]*nowhere" is not a folder/],
      [mkdtempSync(join(folder, 'empty-')), /config.json: does not exist/],
      [checkpoint('{"model_type": "llama",}', 'comma'), /config.json: is not JSON/],
      [checkpoint('{"model_type": nan}', 'nan'), /config.json: is not JSON/],
      [checkpoint([], 'list'), /config.json: must hold an object/],
      [
        checkpoint(`{"a":"${'x'.repeat(5_000_000)}"}`, 'large'),
        /config.json: has 50000\d\d bytes, more than 4194304/,
      ],
    ];
    for (const [path, message] of cases) {
      const error = await rejection(getModel(path));
      expect(error.code).to.equal('CONFIG_INVALID');
      expect(error.message).to.match(message);
    }
  });

  it('reads what Python reads: NaN, infinities, a byte order mark', async () => {
    const text = JSON.stringify({ ...SMALL, model_type: 'llama', note: '"NaN" and Infinity' });
    const path = checkpoint(`\ufeff{"loss": NaN, "best": -Infinity, "worst": Infinity, ${text.slice(1)}`);
    const router = await getModel(path);
    expect(router.config.hiddenSize).to.equal(8);
    expect(router.configDict).to.deep.include({
      loss: Number.NaN,
      best: -Infinity,
      worst: Infinity,
      note: '"NaN" and Infinity',
    });
    const read = await getModel(checkpoint(text.replace('"hidden_size":8', '"hidden_size":NaN'), 'read'));
    expect(() => read.config).to.throw(/hidden_size must be an integer from 1 to 1048576, found NaN/);
  });

  it('names the problems of a config.json when it is asked for', async () => {
    const router = await getModel(checkpoint({ ...SMALL, model_type: 'llama', hidden_size: 'big' }));
    expect(() => router.config).to.throw(
      /CONFIG_INVALID: config.json: hidden_size must be an integer from 1 to 1048576, found "big"/,
    );
  });
});

describe('model directories', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'atb-models-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const modelDirectory = (name: string, body: string): void => {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, 'index.mjs'), body);
  };
  const variant = (modelType: string): string => `
    import { registerModel } from '${src}router/index.js';
    import { LlamaRouter } from '${src}models/llama/index.js';
    class MyRouter extends LlamaRouter {}
    registerModel('${modelType}', MyRouter);`;

  it("in a user's folder are found, and need no edit elsewhere", async () => {
    modelDirectory('my-llama', variant('my_llama'));
    mkdirSync(join(folder, 'no-model'));
    const checkpoint = join(folder, 'checkpoint');
    mkdirSync(checkpoint);
    writeFileSync(join(checkpoint, 'config.json'), JSON.stringify({ ...SMALL, model_type: 'my_llama' }));
    const router = await getModel(checkpoint, { modelDirs: [folder] });
    expect(router.constructor.name).to.equal('MyRouter');
    expect(router.config.hiddenSize).to.equal(8);
    expect(knownModelTypes()).to.include('my_llama');
    expect(await discoverModels(folder)).to.deep.equal(['my-llama']);
  });

  it('cannot take a name that is taken', async () => {
    await loadModels();
    modelDirectory('thief', variant('qwen3'));
    expect((await rejection(discoverModels(folder))).message).to.equal(
      'ROUTER_DUPLICATE_MODEL: model_type "qwen3" is registered twice',
    );
    expect(() => registerModel('code_llama', getRouter('llama'))).to.throw(/ROUTER_DUPLICATE_MODEL/);
  });

  it('that are broken or register nothing are named', async () => {
    modelDirectory('broken', 'import "./missing.js";');
    const broken = await rejection(discoverModels(folder));
    expect(broken.code).to.equal('ROUTER_MODEL_DIR_INVALID');
    expect(broken.message).to.match(/broken.index\.mjs: cannot be imported: .*missing\.js/);
    rmSync(join(folder, 'broken'), { recursive: true });
    modelDirectory('silent', 'export const nothing = 0;');
    expect((await rejection(discoverModels(folder))).message).to.match(
      /silent.index\.mjs: registers no router/,
    );
    expect((await rejection(discoverModels(join(folder, 'nowhere')))).message).to.match(/nowhere: ENOENT/);
  });

  it('may import one another in any order', async () => {
    modelDirectory(
      'a-variant',
      `import { BRouter } from '../b-base/index.mjs'; ${variant('a_variant')} export const base = BRouter;`,
    );
    modelDirectory('b-base', `${variant('b_base')} export { MyRouter as BRouter };`);
    expect(await discoverModels(folder)).to.deep.equal(['a-variant', 'b-base']);
    expect(knownModelTypes()).to.include.members(['a_variant', 'b_base']);
  });

  it('may be links', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'atb-elsewhere-'));
    writeFileSync(join(elsewhere, 'index.mjs'), variant('linked_llama'));
    symlinkSync(elsewhere, join(folder, 'linked'), 'dir');
    expect(await discoverModels(folder)).to.deep.equal(['linked']);
    expect(getRouter('linked_llama').name).to.equal('MyRouter');
    rmSync(elsewhere, { recursive: true });
  });
});
