import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

const SWEEP = fileURLToPath(new URL('../../../tools/allocation-sweep/sweep.mjs', import.meta.url));

/** A sample of `npm run test:allocations`, which takes half an hour for all of them. */
describe('the addon without memory', function () {
  this.timeout(240_000);
  before(function () {
    if (process.platform !== 'linux') this.skip();
  });

  for (const [mode, title] of [
    ['one', 'reports a failed allocation as a typed error, and its engine goes on or can be disposed'],
    ['all', 'does so when all later allocations fail, too'],
  ] as const)
    it(title, () => {
      // A prime step, so that the sample does not keep step with the layers of the model.
      const args = [SWEEP, '--mode', mode, '--every', '241'];
      const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
      expect(status, stdout + stderr).to.equal(0);
      expect(stdout).to.match(/^ {2}\d+ x error NATIVE_ERROR NATIVE_OUT_OF_MEMORY$/m);
      expect(Number(/: (\d+) runs with failures/.exec(stdout)?.[1])).to.be.above(12);
    });
});
