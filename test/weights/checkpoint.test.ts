import { mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { expect } from 'chai';
import { Checkpoint } from '../../src/weights/checkpoint.js';
import { readTensor } from '../../src/weights/read-tensor.js';
import { MAX_TENSORS } from '../../src/weights/safetensors-header.js';
import { concatRows } from '../../src/weights/weights.js';
import { failure, safetensorsBytes, someBytes, temporaryFolder } from './safetensors-writer.js';

const oracle = 'test/fixtures/oracle';
const INDEX = 'model.safetensors.index.json';

/** A file with one U8 tensor of 4 elements per name. */
function fileOf(...names: readonly string[]): Buffer {
  return safetensorsBytes(
    names.map((name, seed) => ({ name, dtype: 'U8', shape: [4], data: someBytes(4, seed) })),
  );
}

describe('a checkpoint', () => {
  const path = temporaryFolder();
  let count = 0;

  /** A model directory of its own with these files. */
  function directory(files: Readonly<Record<string, string | Buffer>>): string {
    const folder = path(`model-${count++}`);
    mkdirSync(folder);
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
    return folder;
  }

  function index(weightMap: Readonly<Record<string, string>>, metadata: unknown = { total_size: 8 }): string {
    return JSON.stringify({ metadata, weight_map: weightMap });
  }

  it('of one file gives its tensors as references into that file', async () => {
    const checkpoint = await Checkpoint.open(join(oracle, 'llama'));
    const norm = checkpoint
      .weights()
      .at('model')
      .at('layers')
      .at(1)
      .at('input_layernorm')
      .get('weight', [64]);
    expect(norm).to.include({ name: 'model.layers.1.input_layernorm.weight', dtype: 'f32' });
    expect(norm.parts).to.have.length(1);
    expect(norm.parts[0]?.file).to.match(/llama.model\.safetensors$/);
    expect(checkpoint.totalBytes).to.equal(480_128);
    expect(checkpoint.tensors.size).to.equal(51);
  });

  it('of several files finds each tensor in its own', async () => {
    const checkpoint = await Checkpoint.open(join(oracle, 'llama-tied'));
    expect(checkpoint.files.map((file) => relative(checkpoint.directory, file.path))).to.have.members(
      [1, 2].map((part) => `model-0000${part}-of-00002.safetensors`),
    );
    expect([...checkpoint.tensors.values()].map(({ file }) => file)).to.include.members(
      checkpoint.files.map((file) => file.path),
    );
    expect(checkpoint.has('model.embed_tokens.weight')).to.equal(true);
    expect(checkpoint.has('lm_head.weight')).to.equal(false);
  });

  it('does not trust, nor need, what the index says besides its weight map', async () => {
    for (const metadata of [{ total_size: 1e30 }, { total_size: 'much' }, null, [{ deep: 1 }]]) {
      const folder = directory({
        [INDEX]: index({ a: 'x.safetensors' }, metadata),
        'x.safetensors': fileOf('a'),
      });
      expect((await Checkpoint.open(folder)).totalBytes).to.equal(4);
    }
  });

  it('prefers the single file, as transformers does', async () => {
    const folder = directory({ 'model.safetensors': fileOf('a'), [INDEX]: 'not even JSON' });
    expect((await Checkpoint.open(folder)).has('a')).to.equal(true);
  });

  it('finds what parts of a model share under each name, as save_model of safetensors writes it', async () => {
    const tensor = { name: 'lm_head.weight', dtype: 'F32', shape: [2, 1], data: someBytes(8) };
    const metadata = {
      format: 'pt',
      'model.embed_tokens.weight': 'lm_head.weight',
      'lm_head.weight': 'lm_head.weight',
      'other.weight': 'absent.weight',
    };
    const bytes = safetensorsBytes([tensor], { metadata });
    const weights = (await Checkpoint.open(directory({ 'model.safetensors': bytes }))).weights();
    const [shared, head] = ['model.embed_tokens.weight', 'lm_head.weight'].map((name) =>
      weights.get(name, [2, 1]),
    );
    expect(shared?.parts).to.deep.equal(head?.parts);
    expect(weights.has('other.weight')).to.equal(false);
  });

  it('suggests a name under another prefix for a missing tensor', async () => {
    const checkpoint = await Checkpoint.open(
      directory({ 'model.safetensors': fileOf('language_model.norm.weight') }),
    );
    const error = await failure('WEIGHT_NOT_FOUND', () => checkpoint.weights().get('norm.weight', [4]));
    expect(error.message)
      .to.contain('nearest: "language_model.norm.weight"')
      .and.contain(checkpoint.directory);
    const other = await failure('WEIGHT_NOT_FOUND', () => checkpoint.weights().get('bias', [4]));
    expect(other.detail.nearest).to.equal(undefined);
  });

  it('maps the element types that the engine reads, and refuses others only when they are used', async () => {
    const widths = {
      BF16: 2,
      F16: 2,
      F32: 4,
      I8: 1,
      U8: 1,
      BOOL: 1,
      I32: 4,
      I64: 8,
      F8_E5M2: 1,
      F64: 8,
      U16: 2,
    };
    const entries = Object.entries(widths).map(([dtype, width]) => ({
      name: dtype,
      dtype,
      shape: [3],
      data: someBytes(3 * width),
    }));
    const folder = directory({ 'model.safetensors': safetensorsBytes(entries) });
    const weights = (await Checkpoint.open(folder)).weights();
    const found = ['BF16', 'F16', 'F32', 'F64', 'I8', 'U8', 'BOOL', 'I32', 'I64'].map(
      (name) => weights.get(name, [3]).dtype,
    );
    expect(found).to.deep.equal(['bf16', 'f16', 'f32', 'f32', 'i8', 'u8', 'u8', 'i32', 'i64']);
    for (const name of ['F8_E5M2', 'U16']) {
      expect(weights.has(name)).to.equal(true);
      const error = await failure('WEIGHT_DTYPE_UNSUPPORTED', () => weights.get(name, [3]));
      expect(error.message).to.contain(name).and.contain('BF16');
    }
  });

  it('reads values into typed arrays, packed ones row after row', async () => {
    const file = safetensorsBytes([
      { name: 'odd', dtype: 'U8', shape: [3], data: Uint8Array.of(7, 8, 9) },
      { name: 'k', dtype: 'F32', shape: [1, 2], data: new Uint8Array(Float32Array.of(1.5, -2).buffer) },
      { name: 'q', dtype: 'F32', shape: [2, 2], data: new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer) },
      { name: 'ids', dtype: 'I64', shape: [], data: new Uint8Array(BigInt64Array.of(-5n).buffer) },
    ]);
    const weights = (await Checkpoint.open(directory({ 'model.safetensors': file }))).weights();
    expect(await readTensor(weights.get('ids', []))).to.deep.equal({
      dtype: 'i64',
      shape: [],
      data: BigInt64Array.of(-5n),
    });
    const packed = concatRows('qk', [weights.get('q', [2, 2]), weights.get('k', [1, 2])]);
    expect(await readTensor(packed)).to.deep.equal({
      dtype: 'f32',
      shape: [3, 2],
      data: Float32Array.of(1, 2, 3, 4, 1.5, -2),
    });
    const mixed = concatRows('mixed', [weights.get('odd', [3]), { ...weights.get('k', [1, 2]), shape: [2] }]);
    await failure('WEIGHT_DTYPE_UNSUPPORTED', () => readTensor(mixed));
  });

  it('notices that a file was written, replaced, cut or removed after it was opened', async () => {
    const open = async (): Promise<[string, Checkpoint]> => {
      const folder = directory({ [INDEX]: index({ a: 'x.safetensors' }), 'x.safetensors': fileOf('a') });
      const checkpoint = await Checkpoint.open(folder);
      await checkpoint.checkUnchanged();
      return [join(folder, 'x.safetensors'), checkpoint];
    };
    const changes: ReadonlyArray<(file: string) => void> = [
      (file) => utimesSync(file, 1, 1),
      (file) => truncateSync(file, 20),
      (file) => rmSync(file),
      (file) => {
        writeFileSync(`${file}.new`, fileOf('a'));
        renameSync(`${file}.new`, file);
      },
    ];
    for (const change of changes) {
      const [file, checkpoint] = await open();
      change(file);
      const error = await failure('WEIGHT_FILE_CHANGED', () => checkpoint.checkUnchanged());
      expect(error.detail.file).to.equal(file);
    }
    const [file, cut] = await open();
    truncateSync(file, 20);
    await failure('WEIGHT_FILE_TRUNCATED', () => readTensor(cut.weights().get('a', [4])));
  });

  it('opens any one file by its path', async () => {
    const file = join(directory({ 'anything.st': fileOf('a') }), 'anything.st');
    const tensor = await readTensor((await Checkpoint.openFile(file)).weights().get('a', [4]));
    expect(tensor.data).to.deep.equal(someBytes(4, 0));
  });

  describe('whose index and files disagree', () => {
    const xs = { 'x.safetensors': fileOf('a', 'b') };
    const open = (files: Readonly<Record<string, string | Buffer>>, onWarning?: (text: string) => void) =>
      Checkpoint.open(directory(files), { onWarning });

    it('lacks a tensor only if somebody needs it', async () => {
      const text = index({ a: 'x.safetensors', b: 'x.safetensors', c: 'x.safetensors' });
      const checkpoint = await open({ [INDEX]: text, ...xs });
      expect(checkpoint.weights().get('a', [4]).name).to.equal('a');
      expect(checkpoint.has('c')).to.equal(false);
      const error = await failure('WEIGHT_SHARD_LACKS_TENSOR', () => checkpoint.weights().get('c', [4]));
      expect(error.detail).to.include({ tensor: 'c', shard: 'x.safetensors' });
      expect(error.message).to.contain('download');
    });

    it('finds a tensor in another file than the index says, and one that it does not list', async () => {
      const text = index({ a: 'x.safetensors', c: 'x.safetensors', d: 'y.safetensors' });
      const weights = (await open({ [INDEX]: text, ...xs, 'y.safetensors': fileOf('c', 'd') })).weights();
      expect(weights.get('c', [4]).parts[0]?.file).to.match(/y\.safetensors$/);
      expect(weights.get('b', [4]).parts[0]?.file).to.match(/x\.safetensors$/);
    });

    it('takes a tensor of two files from the one that the index names, and says so', async () => {
      for (const named of ['x.safetensors', 'y.safetensors']) {
        const warnings: string[] = [];
        const text = index({ a: 'x.safetensors', b: named, c: 'y.safetensors' });
        const files = { [INDEX]: text, ...xs, 'y.safetensors': fileOf('b', 'c') };
        const weights = (await open(files, (warning) => warnings.push(warning))).weights();
        expect(weights.get('a', [4]).name).to.equal('a');
        expect(warnings).to.deep.equal([]);
        expect(weights.get('b', [4]).parts[0]?.file).to.match(new RegExp(`${named}$`));
        expect(warnings).to.have.length(1);
        expect(warnings.join()).to.contain('"b"').and.contain('x.safetensors').and.contain('y.safetensors');
      }
    });

    it('refuses a needed tensor of two files that the index does not place', async () => {
      const text = index({ a: 'x.safetensors', c: 'y.safetensors' });
      const weights = (await open({ [INDEX]: text, ...xs, 'y.safetensors': fileOf('b', 'c') })).weights();
      expect(weights.get('c', [4]).name).to.equal('c');
      const error = await failure('WEIGHT_SHARD_TENSOR_TWICE', () => weights.get('b', [4]));
      expect(error.message).to.contain('"b"').and.contain('x.safetensors').and.contain('y.safetensors');
    });

    it('reads an index as Python writes it', async () => {
      const text =
        '\ufeff{"metadata":{"total_size":NaN,"more":[Infinity,-Infinity]},"weight_map":{"a":"x.safetensors"}}';
      expect((await open({ [INDEX]: text, ...xs })).has('a')).to.equal(true);
      const deep = `{"metadata":${'{"x":'.repeat(20)}1${'}'.repeat(20)},"weight_map":{"a":"x.safetensors"}}`;
      expect((await open({ [INDEX]: deep, ...xs })).has('a')).to.equal(true);
    });
  });

  describe('whose index is wrong is refused:', () => {
    const shard = { 'x.safetensors': fileOf('a', 'b') };

    for (const [title, text, ...says] of [
      ['a list', '[]', '"index"', 'a list'],
      ['no weight map', '{"metadata":{}}', '"weight_map"', 'nothing'],
      ['a list as weight map', '{"weight_map":["a"]}', '"weight_map"'],
      ['a number as file name', '{"weight_map":{"a":1}}', '"a"', 'found 1'],
      ['null as file name', '{"weight_map":{"a":null}}', 'null'],
    ] as const) {
      it(title, async () => {
        const error = await failure('WEIGHT_INDEX_INVALID', () =>
          Checkpoint.open(directory({ [INDEX]: text, ...shard })),
        );
        for (const piece of [INDEX, ...says]) expect(error.message).to.contain(piece);
      });
    }

    it('malformed, repetitive or deep JSON', async () => {
      const open = (text: string | Buffer) => () => Checkpoint.open(directory({ [INDEX]: text, ...shard }));
      for (const text of ['', '{', '{"weight_map":{"a":"x.safetensors"}}}', '{"weight_map":nan}', '{} x']) {
        await failure('WEIGHT_FILE_JSON', open(text));
      }
      await failure('WEIGHT_FILE_UTF8', open(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])));
      await failure('WEIGHT_FILE_DUPLICATE_KEY', open('{"weight_map":{},"weight_map":{}}'));
      await failure(
        'WEIGHT_FILE_DUPLICATE_KEY',
        open('{"weight_map":{"a":"x.safetensors","a":"x.safetensors"}}'),
      );
      await failure('WEIGHT_FILE_TOO_DEEP', open(`{"metadata":${'['.repeat(1_000_000)}`));
    });

    it('a file name that leads out of the directory, or is none', async () => {
      const names = [
        '../x.safetensors',
        '/x.safetensors',
        '..\\x.safetensors',
        'a/x.safetensors',
        'C:x.safetensors',
      ];
      const urls = ['https://example.com/x.safetensors', 'file:x.safetensors', '', '.', '..', '.safetensors'];
      const odd = [
        'x.bin',
        'x.safetensors/',
        '\u0001.safetensors',
        'x\0.safetensors',
        'x\n.safetensors',
        `${'x'.repeat(250)}.safetensors`,
      ];
      for (const name of [...names, ...urls, ...odd]) {
        const error = await failure('WEIGHT_INDEX_PATH', () =>
          Checkpoint.open(directory({ [INDEX]: index({ a: name }), ...shard })),
        );
        expect(error.detail).to.include({ tensor: 'a', found: name });
        expect(error.message).to.not.match(/\p{Cc}/u);
      }
    });

    it('a file that is not there', async () => {
      const text = index({ a: 'x.safetensors', b: 'y.safetensors', c: 'y.safetensors' });
      const error = await failure('WEIGHT_SHARD_MISSING', () =>
        Checkpoint.open(directory({ [INDEX]: text, ...shard })),
      );
      expect(error.detail).to.include({ shard: 'y.safetensors', tensors: 2 });
    });

    it('a file that is a Git-LFS pointer, a broken file, or a link to elsewhere', async () => {
      const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n`;
      const text = index({ a: 'x.safetensors', b: 'x.safetensors' });
      await failure('WEIGHT_FILE_LFS_POINTER', () =>
        Checkpoint.open(directory({ [INDEX]: text, 'x.safetensors': pointer })),
      );
      await failure('WEIGHT_FILE_LFS_POINTER', () => Checkpoint.open(directory({ [INDEX]: pointer })));
      await failure('WEIGHT_FILE_HEADER_LENGTH', () =>
        Checkpoint.open(directory({ [INDEX]: text, 'x.safetensors': 'not a file' })),
      );
      const outside = join(directory(shard), 'x.safetensors');
      const folder = directory({ [INDEX]: text });
      symlinkSync(outside, join(folder, 'x.safetensors'));
      await failure('WEIGHT_FILE_LINK_REFUSED', () => Checkpoint.open(folder));
    });

    it('more tensors, files or bytes than any checkpoint has', async () => {
      const many = Array.from({ length: MAX_TENSORS + 1 }, (_, n) => `"${n}":"x.safetensors"`).join();
      await failure('WEIGHT_FILE_TOO_MANY', () =>
        Checkpoint.open(directory({ [INDEX]: `{"weight_map":{${many}}}` })),
      );
      const files = Array.from({ length: 10_001 }, (_, n) => `"${n}":"${n}.safetensors"`).join();
      await failure('WEIGHT_FILE_TOO_MANY', () =>
        Checkpoint.open(directory({ [INDEX]: `{"weight_map":{${files}}}` })),
      );
      const folder = directory({ [INDEX]: '{' });
      truncateSync(join(folder, INDEX), 2 ** 33);
      await failure('WEIGHT_INDEX_TOO_LARGE', () => Checkpoint.open(folder));
    });
  });

  it('may be one consolidated.safetensors with the usual names, but not with those of Mistral', async () => {
    const data = new Uint8Array(8);
    const file = (name: string) => safetensorsBytes([{ name, dtype: 'F32', shape: [2], data }]);
    const usual = await Checkpoint.open(directory({ 'consolidated.safetensors': file('model.norm.weight') }));
    expect(usual.weights().get('model.norm.weight', [2]).dtype).to.equal('f32');
    for (const name of ['tok_embeddings.weight', 'layers.0.attention.wq.weight']) {
      const open = () => Checkpoint.open(directory({ 'consolidated.safetensors': file(name) }));
      const error = await failure('WEIGHT_CHECKPOINT_FORMAT', open);
      for (const piece of ["Mistral's own format", 'model.safetensors.index.json'])
        expect(error.message).to.contain(piece);
    }
  });

  it('may be files without their index, if their names say that they are all there', async () => {
    const data = new Uint8Array(8);
    const file = (name: string) => safetensorsBytes([{ name, dtype: 'F32', shape: [2], data }]);
    const both = {
      'model-00001-of-00002.safetensors': file('a'),
      'model-00002-of-00002.safetensors': file('b'),
    };
    const checkpoint = await Checkpoint.open(directory(both));
    expect([...checkpoint.tensors.keys()]).to.deep.equal(['a', 'b']);
    const one = await Checkpoint.open(directory({ 'model-00001-of-00001.safetensors': file('a') }));
    expect(one.weights().get('a', [2]).dtype).to.equal('f32');
    for (const files of [
      { 'model-00002-of-00002.safetensors': file('b') },
      { ...both, 'model-00003-of-00003.safetensors': file('c') },
    ])
      await failure('WEIGHT_CHECKPOINT_FORMAT', () => Checkpoint.open(directory(files)));
    const twice = await Checkpoint.open(
      directory({ ...both, 'model-00002-of-00002.safetensors': file('a') }),
    );
    await failure('WEIGHT_SHARD_TENSOR_TWICE', () => twice.weights().get('a', [2]));
  });

  describe('that is none is refused, and says what to do:', () => {
    for (const [file, ...says] of [
      ['pytorch_model.bin', 'save_pretrained', 'safe_serialization=True'],
      ['consolidated.00.pth', 'safe_serialization=True'],
      ['model-00001-of-00002.safetensors', INDEX],
      ['model_weights.safetensors', 'rename it to model.safetensors'],
      ['consolidated-00001-of-00002.safetensors', "Mistral's own format"],
      ['model.safetensors.incomplete', 'download it again'],
      ['weights.npz', 'safe_serialization=True'],
      ['weights.safetensors.index.json', 'rename it'],
      ['adapter_model.safetensors', 'base model'],
      ['model-Q8_0.gguf', 'give the file in place of its folder'],
      ['tf_model.h5', 'safe_serialization=True'],
    ] as const) {
      it(file, async () => {
        const error = await failure('WEIGHT_CHECKPOINT_FORMAT', () =>
          Checkpoint.open(directory({ [file]: 'x', 'config.json': '{}' })),
        );
        for (const piece of [file, ...says]) expect(error.message).to.contain(piece);
      });
    }

    it('a directory without weights', async () => {
      const error = await failure('WEIGHT_CHECKPOINT_MISSING', () =>
        Checkpoint.open(directory({ 'config.json': '{}' })),
      );
      expect(error.message).to.contain('model.safetensors').and.contain('"config.json"');
      await failure('WEIGHT_CHECKPOINT_MISSING', () => Checkpoint.open(directory({})));
    });

    it('a path that is no directory', async () => {
      await failure('WEIGHT_FILE_UNREADABLE', () => Checkpoint.open(path('absent')));
      await failure('WEIGHT_FILE_UNREADABLE', () => Checkpoint.open('package.json'));
    });
  });
});
