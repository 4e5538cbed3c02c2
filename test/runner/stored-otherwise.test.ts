import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { openModel } from '../../src/runner/open-model.js';
import { Checkpoint } from '../../src/weights/checkpoint.js';
import { readTensor } from '../../src/weights/read-tensor.js';
import { familyCheckpoint } from '../oracle/families.js';
import { failure, safetensorsBytes, temporaryFolder } from '../weights/safetensors-writer.js';

const ORACLE = 'test/fixtures/oracle';

interface Stored {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** All tensors of a fixture, with their bytes. */
async function tensorsOf(fixture: string): Promise<Stored[]> {
  return tensorsIn(join(ORACLE, fixture));
}

async function tensorsIn(folder: string): Promise<Stored[]> {
  const checkpoint = await Checkpoint.open(folder);
  return [...checkpoint.tensors].map(([name, { file, offset, bytes, dtype, shape }]) => ({
    name,
    dtype,
    shape,
    data: readFileSync(file).subarray(offset, offset + bytes),
  }));
}

/** What the model computes with: each weight's name and numbers. */
async function numbersOf(modelPath: string, onWarning?: (text: string) => void) {
  const { model, config, dtype } = await openModel({ modelPath, ...(onWarning && { onWarning }) });
  const weights = await Promise.all(
    model.getWeights().map(async (weight) => [weight.name, (await readTensor(weight)).data] as const),
  );
  return { weights, config, dtype };
}

describe('a checkpoint that is stored in another way', () => {
  const path = temporaryFolder();
  let count = 0;

  /** `changes`: of config.json; undefined takes a key out. */
  function folderOf(fixture: string, tensors: readonly Stored[], changes: object = {}): string {
    const folder = path(`stored-${count++}`);
    mkdirSync(folder);
    const config = JSON.parse(readFileSync(join(ORACLE, fixture, 'config.json'), 'utf8'));
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...config, ...changes }));
    writeFileSync(join(folder, 'model.safetensors'), safetensorsBytes(tensors));
    return folder;
  }

  const renamed = (tensors: readonly Stored[], rename: (name: string) => string): Stored[] =>
    tensors.map((tensor) => ({ ...tensor, name: rename(tensor.name) }));

  for (const [title, rename] of [
    ['saved from the bare model', (name: string) => name.replace(/^model\./, '')],
    ['wrapped by DDP', (name: string) => `module.${name}`],
    ['compiled', (name: string) => `_orig_mod.${name}`],
    ['compiled layer by layer', (name: string) => name.replace(/layers\.\d+\./, '$&_orig_mod.')],
    ['merged by peft', (name: string) => `base_model.model.${name}`],
  ] as const) {
    it(`${title} is the same model`, async () => {
      for (const fixture of ['llama-tied', 'qwen3']) {
        const folder = folderOf(fixture, renamed(await tensorsOf(fixture), rename));
        expect((await numbersOf(folder)).weights).to.deep.equal(
          (await numbersOf(join(ORACLE, fixture))).weights,
        );
      }
    });
  }

  describe('with a tied head', () => {
    const HEAD = 'lm_head.weight';
    const EMBEDDING = 'model.embed_tokens.weight';
    async function embeddingOf(tensors: readonly Stored[]): Promise<Stored> {
      const found = tensors.find(({ name }) => name === EMBEDDING);
      if (found === undefined) throw new Error('no embedding');
      return found;
    }

    it('in the files, too, is tied where they agree', async () => {
      const tensors = await tensorsOf('llama-tied');
      const head = { ...(await embeddingOf(tensors)), name: HEAD };
      const warnings: string[] = [];
      const folder = folderOf('llama-tied', [head, ...tensors]);
      const { weights, config } = await numbersOf(folder, (text) => warnings.push(text));
      expect(warnings).to.deep.equal([]);
      expect(config.tieWordEmbeddings).to.equal(true);
      expect(weights).to.deep.equal((await numbersOf(join(ORACLE, 'llama-tied'))).weights);
    });

    it('that differs from the embedding reads it, and says so', async () => {
      const tensors = await tensorsOf('llama-tied');
      const embedding = await embeddingOf(tensors);
      // The last row alone differs, as of one token that was added.
      const data = Uint8Array.from(embedding.data, (byte, at) =>
        at < embedding.data.length - 4 ? byte : byte ^ 1,
      );
      const warnings: string[] = [];
      const folder = folderOf('llama-tied', [...tensors, { ...embedding, name: HEAD, data }]);
      const { weights, config } = await numbersOf(folder, (text) => warnings.push(text));
      expect(config.tieWordEmbeddings).to.equal(false);
      const head = weights.find(([name]) => name === HEAD)?.[1];
      expect(head && new Uint8Array(head.buffer)).to.deep.equal(data);
      expect(warnings).to.have.length(1);
      expect(warnings.join()).to.contain('tie_word_embeddings').and.contain(HEAD);
    });

    it('alone in the files is the embedding, too', async () => {
      const tensors = await tensorsOf('llama-tied');
      const folder = folderOf(
        'llama-tied',
        renamed(tensors, (name) => (name === EMBEDDING ? HEAD : name)),
      );
      expect((await numbersOf(folder)).weights).to.deep.equal(
        (await numbersOf(join(ORACLE, 'llama-tied'))).weights,
      );
    });

    it('under names of the family’s own is tied, from the bare model or not', async () => {
      const { path: gpt2, remove } = familyCheckpoint('gpt2');
      try {
        const tensors = await tensorsIn(gpt2);
        const embedding = tensors.find(({ name }) => name === 'transformer.wte.weight');
        if (embedding === undefined) throw new Error('no embedding');
        const expected = await numbersOf(gpt2);
        for (const bare of [false, true]) {
          const named = renamed(tensors, (name) => (bare ? name.replace(/^transformer\./, '') : name));
          const folder = path(`gpt2-${bare}`);
          mkdirSync(folder);
          copyFileSync(join(gpt2, 'config.json'), join(folder, 'config.json'));
          const all = [...named, { ...embedding, name: HEAD }];
          writeFileSync(join(folder, 'model.safetensors'), safetensorsBytes(all));
          const opened = await openModel({ modelPath: folder });
          expect(opened.config.tieWordEmbeddings).to.equal(true);
          expect((await numbersOf(folder)).weights).to.deep.equal(expected.weights);
        }
      } finally {
        remove();
      }
    });

    it('that is not said to be tied is missing, and the message names the setting', async () => {
      const folder = folderOf('llama-tied', await tensorsOf('llama-tied'), { tie_word_embeddings: false });
      const error = await failure('WEIGHT_NOT_FOUND', () => openModel({ modelPath: folder }));
      expect(error.message).to.contain('"tie_word_embeddings": true');
    });
  });

  it('runs in the dtype of its weights where config.json names none', async () => {
    for (const named of ['auto', undefined]) {
      const folder = folderOf('llama', await tensorsOf('llama'), { dtype: undefined, torch_dtype: named });
      expect((await openModel({ modelPath: folder })).dtype).to.equal('f32');
      expect((await openModel({ modelPath: folder, dtype: 'f16' })).dtype).to.equal('f16');
    }
  });

  it('behind links is read where the user allows that', async () => {
    const real = folderOf('llama', await tensorsOf('llama'));
    const folder = path('linked');
    mkdirSync(folder);
    for (const name of ['config.json', 'model.safetensors'])
      symlinkSync(join(real, name), join(folder, name));
    const error = await failure('CONFIG_INVALID', () => openModel({ modelPath: folder }));
    expect(error.message).to.contain('--allow_links').and.contain('allowLinks');
    const { model } = await openModel({ modelPath: folder, allowLinks: true });
    writeFileSync(join(real, 'generation_config.json'), '{"do_sample": true, "temperature": 0.5}');
    symlinkSync(join(real, 'generation_config.json'), join(folder, 'generation_config.json'));
    const text = await openModel({ modelPath: folder, allowLinks: true, loadTokenizer: false });
    expect((await text.text()).samplingDefaults).to.include({ temperature: 0.5 });
    expect((await readTensor(model.getWeights()[0] ?? expect.fail('no weights'))).dtype).to.equal('f32');
    symlinkSync(join(real, 'nothing'), join(folder, 'quant_model_description.json'));
    await failure('WEIGHT_FILE_UNREADABLE', () => openModel({ modelPath: folder, allowLinks: true }));
  });

  it('as texts that name the files is refused with what to do', async () => {
    const real = folderOf('llama', await tensorsOf('llama'));
    for (const [text, ...says] of [
      [`../${real.split('/').at(-1)}/model.safetensors`, 'copy that file here'],
      ['/annex/objects/SHA256E-s480128--abc.safetensors\n', 'git annex get'],
      ['version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n', 'git lfs pull'],
    ] as const) {
      const folder = path(`text-${count++}`);
      mkdirSync(folder);
      copyFileSync(join(real, 'config.json'), join(folder, 'config.json'));
      writeFileSync(join(folder, 'model.safetensors'), text);
      const code = text.startsWith('version') ? 'WEIGHT_FILE_LFS_POINTER' : 'WEIGHT_FILE_STAND_IN';
      const error = await failure(code, () => openModel({ modelPath: folder }));
      for (const piece of says) expect(error.message).to.contain(piece);
    }
  });
});
