import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { pullModel } from '../../src/hub/pull.js';
import { SmallHub } from '../hub/small-hub.js';
import { temporaryFolder } from '../weights/safetensors-writer.js';

const ROOT = join(import.meta.dirname, '../../..');
const MODEL = join(ROOT, 'examples/models/tiny-stories');

describe('atb-models models list and rm', function () {
  this.timeout(60_000);
  const path = temporaryFolder();
  const cacheDir = () => path('cache');
  function models(...args: string[]) {
    const program = join(ROOT, 'scripts/atb-models.mjs');
    const env = { ...process.env, HF_HUB_CACHE: cacheDir() };
    return spawnSync(process.execPath, [program, 'models', ...args], { encoding: 'utf8', env });
  }

  it('show what the cache holds, and free it', async () => {
    expect(JSON.parse(models('list', '--json').stdout)).to.deep.equal([]);
    const hub = new SmallHub();
    for (const name of readdirSync(MODEL)) hub.files.set(name, readFileSync(join(MODEL, name)));
    try {
      await pullModel('org/model', { cacheDir: cacheDir(), endpoint: await hub.start() });
    } finally {
      hub.stop();
    }
    const [listed] = JSON.parse(models('list', '--json').stdout) as { name: string; bytes: number }[];
    expect(listed).to.include({ name: 'org/model' });
    expect(listed?.bytes).to.be.above(1_000_000);
    expect(models('list').stdout).to.match(/org\/model .* MiB .* main /);

    const removed = models('rm', 'org/model', '--json');
    expect(JSON.parse(removed.stdout)).to.deep.equal({ name: 'org/model', bytes: listed?.bytes });
    expect(JSON.parse(models('list', '--json').stdout)).to.deep.equal([]);
    const again = models('rm', 'org/model');
    expect(again.status).to.equal(1);
    expect(again.stderr).to.match(/^MODEL_NOT_CACHED: .*org\/model/);
  });

  it('refuse what they do not know', () => {
    expect(models('remove', 'x/y').stderr).to.match(/models must be followed by nothing, list or rm/);
    expect(models('rm').stderr).to.match(/models rm must be followed by the name of a model/);
  });
});
