import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { AtbError, type ErrorCode } from '../../src/errors.js';
import { listCached, modelFolder, removeCached } from '../../src/hub/cache.js';
import { parseModelName } from '../../src/hub/model-name.js';
import { pullModel } from '../../src/hub/pull.js';
import { wantedFiles } from '../../src/hub/wanted-files.js';
import { SmallHub } from './small-hub.js';

const MODEL = 'examples/models/tiny-stories';

async function codeOf(work: Promise<unknown>): Promise<ErrorCode | undefined> {
  return work.then(
    () => undefined,
    (error: unknown) => (error instanceof AtbError ? error.code : (`raw: ${String(error)}` as ErrorCode)),
  );
}

describe('models by name', () => {
  let hub: SmallHub;
  let cacheDir: string;
  let options: { cacheDir: string; endpoint: string };
  beforeEach(async () => {
    hub = new SmallHub();
    for (const name of readdirSync(MODEL)) hub.files.set(name, readFileSync(join(MODEL, name)));
    hub.files.set('onnx/model.onnx', Buffer.from('other'));
    hub.files.set('pytorch_model.bin', Buffer.from('other'));
    cacheDir = mkdtempSync(join(tmpdir(), 'atb-hub-'));
    options = { cacheDir, endpoint: await hub.start() };
  });
  afterEach(() => {
    hub.stop();
    rmSync(cacheDir, { recursive: true });
  });
  const contents = (): number => hub.asked.filter((asked) => /resolve.*bytes=(?!0-0)/.test(asked)).length;

  it('are found by name as adapters, too, which have no config.json', async () => {
    const folder = join(cacheDir, 'models--org--adapter', 'snapshots', 'main');
    mkdirSync(folder, { recursive: true });
    expect(await codeOf(modelFolder('org/adapter', options))).to.equal('MODEL_NOT_CACHED');
    writeFileSync(join(folder, 'adapter_config.json'), '{}');
    expect(await modelFolder('org/adapter', options)).to.equal(folder);
    rmSync(join(cacheDir, 'models--org--adapter'), { recursive: true });
  });

  it('come into the cache as huggingface_hub lays it out, what is needed and no more', async () => {
    const seen: [number, number][] = [];
    const pulled = await pullModel('org/model', { ...options, onProgress: (...bytes) => seen.push(bytes) });
    const repo = join(cacheDir, 'models--org--model');
    expect(pulled.folder).to.equal(join(repo, 'snapshots', hub.commit));
    expect(readFileSync(join(repo, 'refs/main'), 'utf8')).to.equal(hub.commit);
    const names = ['README.md', 'config.json', 'generation_config.json', 'model.safetensors'];
    expect(readdirSync(pulled.folder).sort()).to.deep.equal([
      ...names,
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    for (const name of readdirSync(pulled.folder))
      expect(readFileSync(join(pulled.folder, name)).equals(hub.files.get(name) as Buffer), name).to.equal(
        true,
      );
    expect(seen.at(-1)).to.deep.equal([pulled.bytes, pulled.bytes]);
    expect(seen.every(([done], i) => done >= (seen[i - 1]?.[0] ?? 0))).to.equal(true);
    expect(readdirSync(join(repo, 'blobs')).filter((name) => name.endsWith('.incomplete'))).to.deep.equal([]);

    expect(await modelFolder('org/model', options)).to.equal(pulled.folder);
    expect(await modelFolder(`org/model@${hub.commit}`, options)).to.equal(pulled.folder);
    const [cached] = await listCached(options);
    expect(cached?.name).to.equal('org/model');
    expect(cached?.bytes).to.equal(pulled.bytes);
    expect(cached?.revisions).to.deep.equal([{ commit: hub.commit, names: ['main'] }]);
    expect(await removeCached('org/model', options)).to.equal(pulled.bytes);
    expect(existsSync(repo)).to.equal(false);
    expect(await codeOf(removeCached('org/model', options))).to.equal('MODEL_NOT_CACHED');
  });

  it('are not fetched again, and need no network once they are there', async () => {
    const first = await pullModel('org/model', options);
    expect(first.fetchedBytes).to.equal(first.bytes);
    const before = contents();
    const again = await pullModel('org/model@v1', options);
    expect(again.fetchedBytes).to.equal(0);
    expect(contents()).to.equal(before);
    const offline = { ...options, isOffline: true };
    expect((await pullModel('org/model', offline)).folder).to.equal(first.folder);
    expect(await codeOf(pullModel('org/other', offline))).to.equal('HUB_OFFLINE');
  });

  it('go on where the connection broke, by themselves and in a later call', async () => {
    hub.breakAfter = 1 << 20;
    hub.breaks = 2;
    const pulled = await pullModel('org/model', options);
    expect(pulled.fetchedBytes).to.be.below(pulled.bytes + 1);
    expect(
      readFileSync(join(pulled.folder, 'model.safetensors')).equals(
        hub.files.get('model.safetensors') as Buffer,
      ),
    ).to.equal(true);
    const ranges = hub.asked
      .filter((asked) => asked.includes('model.safetensors'))
      .map((asked) => asked.split(' ')[2]);
    expect(ranges.some((range) => /bytes=[1-9]\d{5,}-/.test(range ?? ''))).to.equal(true);

    await removeCached('org/model', options);
    hub.breaks = 100;
    hub.breakAfter = 100_000;
    expect(await codeOf(pullModel('org/model', options))).to.equal('HUB_UNREACHABLE');
    hub.breaks = 0;
    const resumed = await pullModel('org/model', options);
    expect(resumed.fetchedBytes).to.be.below(resumed.bytes - 99_999);
  }).timeout(60_000);

  it('are refused when their content is not what the hub promised', async () => {
    hub.damaged = 'model.safetensors';
    expect(await codeOf(pullModel('org/model', options))).to.equal('HUB_FILE_DAMAGED');
    expect(await codeOf(modelFolder('org/model', options))).to.equal('MODEL_NOT_CACHED');
    hub.damaged = undefined;
    expect(await codeOf(pullModel('org/model', options))).to.equal(undefined);
  });

  it('stop when they are asked to, and say why they cannot be had', async () => {
    const controller = new AbortController();
    const stopped = pullModel('org/model', {
      ...options,
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    expect(await codeOf(stopped)).to.equal('OUTPUT_ABORTED');
    expect(await codeOf(pullModel('org/nothing', options))).to.equal('HUB_NOT_FOUND');
    expect(await codeOf(pullModel('org/model@v9', options))).to.equal('HUB_NOT_FOUND');
    hub.token = 'hf_secret';
    expect(await codeOf(pullModel('org/model', options))).to.equal('HUB_REFUSED');
    expect(await codeOf(pullModel('org/model', { ...options, token: 'hf_secret' }))).to.equal(undefined);
    hub.files.delete('model.safetensors');
    expect(await codeOf(pullModel('org/model', { ...options, token: 'hf_secret' }))).to.equal(
      'HUB_NOT_FOUND',
    );
    const nowhere = { ...options, endpoint: 'http://127.0.0.1:9' };
    expect(await codeOf(pullModel('org/model', nowhere))).to.equal('HUB_UNREACHABLE');
  }).timeout(60_000);

  it('need a cache that can be written', async () => {
    writeFileSync(join(cacheDir, 'file'), '');
    const cache = { ...options, cacheDir: join(cacheDir, 'file') };
    expect(await codeOf(pullModel('org/model', cache))).to.equal('OUTPUT_UNWRITABLE');
  });

  it('cannot lead out of the cache', async () => {
    for (const path of [
      '../../../outside.json',
      'a/../../outside.json',
      '/outside.json',
      'a\\..\\outside.json',
    ])
      hub.files.set(path, Buffer.from('{}'));
    const pulled = await pullModel('org/model', options);
    expect(readdirSync(pulled.folder)).to.have.length(6);
    expect(existsSync(join(cacheDir, 'outside.json'))).to.equal(false);
    for (const name of [
      '',
      'a/b/c',
      '../x',
      'a/..',
      'a b/c',
      'org/model@',
      'org/model@a@b',
      'org/m..l',
      '/a/b',
      'a--b/c',
    ])
      expect(() => parseModelName(name), name).to.throw(AtbError);
  });

  it('may be one GGUF file, which is named', async () => {
    for (const name of ['m-Q4_0.gguf', 'big-00001-of-00002.gguf', 'big-00002-of-00002.gguf'])
      hub.files.set(name, Buffer.from(`GGUF ${name}`));
    const pulled = await pullModel('org/model', { ...options, file: 'm-Q4_0.gguf' });
    expect(readFileSync(pulled.path, 'utf8')).to.equal('GGUF m-Q4_0.gguf');
    expect(readdirSync(pulled.folder)).to.deep.equal(['m-Q4_0.gguf']);
    const offline = { ...options, isOffline: true, file: 'm-Q4_0.gguf' };
    expect((await pullModel('org/model', offline)).path).to.equal(pulled.path);
    await pullModel('org/model', { ...options, file: 'big-00001-of-00002.gguf' });
    expect(readdirSync(pulled.folder)).to.have.members([
      ...['m-Q4_0.gguf', 'big-00001-of-00002.gguf', 'big-00002-of-00002.gguf'],
    ]);
    hub.files.delete('model.safetensors');
    for (const [file, says] of [
      [undefined, /no safetensors in it, but GGUF files, .*: m-Q4_0\.gguf, big-00001-of-00002\.gguf/],
      ['x.gguf', /no "x\.gguf" in it, but GGUF files/],
    ] as const) {
      const error: unknown = await pullModel('org/model', { ...options, file }).catch((thrown) => thrown);
      expect(error).to.have.property('message').match(says);
    }
  });

  it('are folders where there is one', async () => {
    await mkdir(join(cacheDir, 'org/model'), { recursive: true });
    expect(await modelFolder(join(cacheDir, 'org/model'), options)).to.equal(join(cacheDir, 'org/model'));
    expect(await modelFolder('./org/model', options)).to.equal('./org/model');
    expect(await codeOf(modelFolder('org/model', options))).to.equal('MODEL_NOT_CACHED');
  });

  it('take one set of weights', () => {
    const paths = [
      ...['config.json', 'model-00001-of-00002.safetensors', 'model.safetensors.index.json'],
      ...[
        'consolidated.safetensors',
        'consolidated.safetensors.index.json',
        'original/params.json',
        'model.gguf',
      ],
      ...[
        'tokenizer.model',
        'qwen.tiktoken',
        'chat_template.jinja',
        '1_Pooling/config.json',
        'merges.txt',
        'notes.txt',
      ],
      ...['optimizer.pt', 'trainer_state.json', 'LICENSE.txt'],
    ];
    expect(wantedFiles(paths)).to.have.members([
      ...[
        'config.json',
        'model-00001-of-00002.safetensors',
        'model.safetensors.index.json',
        'tokenizer.model',
      ],
      ...['qwen.tiktoken', 'chat_template.jinja', '1_Pooling/config.json', 'merges.txt', 'LICENSE.txt'],
    ]);
    expect(wantedFiles(['config.json', 'consolidated.safetensors'])).to.have.length(2);
  });
});
