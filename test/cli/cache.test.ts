import { cpSync, readdirSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { ModelRunner, type ModelRunnerOptions } from '../../src/runner/model-runner.js';
import { listEntries } from '../../src/runner/packed-entries.js';
import { temporaryFolder } from '../weights/safetensors-writer.js';
import { runAtbModels } from './in-process.js';

const ROOT = join(import.meta.dirname, '../../..');

describe('atb-models cache list and rm', function () {
  this.timeout(60_000);
  const path = temporaryFolder();
  const folder = () => path('cache');
  const cache = (...args: string[]) => runAtbModels(['cache', ...args]);
  async function load(options: Partial<ModelRunnerOptions>) {
    const warnings: string[] = [];
    const [modelPath, onWarning] = [path('model'), (text: string) => warnings.push(text)];
    const given = { modelPath, numBlocks: 1, weightsCache: folder(), onWarning, ...options };
    const runner = await ModelRunner.load(given);
    await runner.weightsKept;
    runner.dispose();
    return warnings;
  }
  const states = async () => (await listEntries(folder())).map(({ state }) => state);

  it('show what the folder keeps, and free it', async () => {
    cpSync(join(ROOT, 'examples/models/tiny-stories'), path('model'), { recursive: true });
    for (const quantize of [undefined, 'w4a16', 'w8a16'] as const)
      expect(await load(quantize ? { quantize } : {})).to.deep.equal([]);
    const listed = JSON.parse((await cache('list', '--weights_cache', folder(), '--json')).stdout);
    expect(listed.map(({ form }: { form: string }) => form)).to.deep.equal(['bf16', 'W4A16', 'W8A16']);
    expect(listed[0]).to.include({ model: path('model'), form: 'bf16', state: 'current' });
    expect(listed[0].name).to.match(/^model-bf16-\w+-[0-9a-f]{12}\.packed$/);

    const names = readdirSync(folder()).sort();
    truncateSync(join(folder(), names[0] as string), 5000);
    writeFileSync(join(folder(), 'notes.txt'), 'of somebody else');
    expect(await states()).to.deep.equal(['damaged', 'current', 'current']);
    utimesSync(path('model', 'model.safetensors'), new Date(), new Date());
    expect(await states()).to.deep.equal(['damaged', 'stale', 'stale']);
    expect(await load({ quantize: 'w8a16' })).to.have.length(1);
    expect(await states()).to.deep.equal(['damaged', 'stale', 'current']);

    const table = (await cache('list', `--weights_cache=${folder()}`)).stdout;
    expect(table).to.match(/model-bf16-.*damaged.*4\.88 KiB/);
    expect(table).to.match(/model-w4a16-.*stale.*MiB.*W4A16/);
    const gone = await cache('rm', 'stale', '--weights_cache', folder(), '--json');
    expect(JSON.parse(gone.stdout)).to.have.length(2);
    expect(await states()).to.deep.equal(['current']);
    expect((await cache('rm', names[2] as string, '--weights_cache', folder())).stdout).to.match(
      /MiB are free again\n$/,
    );
    expect(readdirSync(folder())).to.deep.equal(['notes.txt']);
  });

  it('refuse what they do not know', async () => {
    expect((await cache('list')).stderr).to.match(/^REQUEST_INVALID: --weights_cache must be given/);
    expect((await cache('rm', 'x', '--weights_cache', path())).stderr).to.match(
      /^REQUEST_INVALID: cache rm must be followed by names that .* "x"\n$/,
    );
    expect((await cache('list', '--weights_cache', path('absent'))).stderr).to.match(
      /^REQUEST_INVALID: --weights_cache must be a folder that can be read/,
    );
  });
});
