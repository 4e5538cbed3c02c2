import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'chai';
import { LLM } from '../../src/index.js';

const ROOT = join(import.meta.dirname, '../../..');

describe('examples/own-runner.ts', function () {
  this.timeout(60_000);

  it('gives with a loop of its own what the library gives', async () => {
    const prompts = ['The cat', 'One day, a boy'];
    const { stdout, stderr } = spawnSync(process.execPath, [join(ROOT, 'dist/examples/own-runner.js')], {
      encoding: 'utf8',
    });
    await using llm = await LLM.load(join(ROOT, 'examples/models/tiny-stories'));
    const found = await llm.generate(prompts, { maxTokens: 20, ignoreEos: true });
    expect(stdout, stderr).to.equal(found.map(({ text }, i) => `${prompts[i]}${text}\n`).join(''));
  });
});
