import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { pullModel } from '../../src/hub/pull.js';
import { SmallHub } from '../hub/small-hub.js';
import { temporaryFolder } from '../weights/safetensors-writer.js';
import { runAtbModels } from './in-process.js';

const ROOT = join(import.meta.dirname, '../../..');
const MODEL = join(ROOT, 'examples/models/tiny-stories');

describe('atb-models models list and rm', function () {
  this.timeout(60_000);
  const path = temporaryFolder();
  const cacheDir = () => path('cache');
  const models = (...args: string[]) => runAtbModels(['models', ...args]);
  const { HF_HUB_CACHE } = process.env;
  before(() => {
    process.env['HF_HUB_CACHE'] = cacheDir();
  });
  after(() => {
    if (HF_HUB_CACHE === undefined) delete process.env['HF_HUB_CACHE'];
    else process.env['HF_HUB_CACHE'] = HF_HUB_CACHE;
  });

  it('show what the cache holds, and free it', async () => {
    expect(JSON.parse((await models('list', '--json')).stdout)).to.deep.equal([]);
    const hub = new SmallHub();
    for (const name of readdirSync(MODEL)) hub.files.set(name, readFileSync(join(MODEL, name)));
    try {
      await pullModel('org/model', { cacheDir: cacheDir(), endpoint: await hub.start() });
    } finally {
      hub.stop();
    }
    const [listed] = JSON.parse((await models('list', '--json')).stdout) as { name: string; bytes: number }[];
    expect(listed).to.include({ name: 'org/model' });
    expect(listed?.bytes).to.be.above(1_000_000);
    expect((await models('list')).stdout).to.match(/org\/model .* MiB .* main /);

    const removed = await models('rm', 'org/model', '--json');
    expect(JSON.parse(removed.stdout)).to.deep.equal({ name: 'org/model', bytes: listed?.bytes });
    expect(JSON.parse((await models('list', '--json')).stdout)).to.deep.equal([]);
    const again = await models('rm', 'org/model');
    expect(again.status).to.equal(1);
    expect(again.stderr).to.match(/^MODEL_NOT_CACHED: .*org\/model/);
  });

  it('refuse what they do not know', async () => {
    expect((await models('remove', 'x/y')).stderr).to.match(
      /what follows models must be nothing, list or rm/,
    );
    expect((await models('rm')).stderr).to.match(/models rm must be followed by the name of a model/);
  });
});
