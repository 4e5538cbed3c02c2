import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';

const ROOT = join(import.meta.dirname, '../..');

function run(
  command: string,
  args: readonly string[],
): { readonly status: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8' });
  return { status, output: `${stdout}${stderr}` };
}

describe('the sources', function () {
  this.timeout(120_000);

  it('pass the linter and are formatted', () => {
    const { status, output } = run(process.execPath, [
      'node_modules/@biomejs/biome/bin/biome',
      'check',
      '--colors=off',
    ]);
    expect(status, output).to.equal(0);
  });

  it('pass the type check', () => {
    const { status, output } = run(process.execPath, [
      'node_modules/typescript/bin/tsc',
      '-p',
      '.',
      '--noEmit',
    ]);
    expect(status, output).to.equal(0);
  });

  it('are formatted in C++, too, where clang-format is installed', function () {
    if (spawnSync('clang-format', ['--version']).status !== 0) return this.skip();
    const files = readdirSync(join(ROOT, 'native'), { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.(cpp|h)$/.test(file))
      .map((file) => join('native', file));
    const { status, output } = run('clang-format', ['--dry-run', '--Werror', ...files]);
    expect(status, output).to.equal(0);
  });
});

describe("the package's scripts", function () {
  this.timeout(120_000);

  it('start no other one behind their back, but for the build before the tests', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    const hooks = Object.keys(scripts).filter((name) => {
      const [, of] = /^(?:pre|post)(.+)$/.exec(name) ?? [];
      return of !== undefined && of in scripts;
    });
    expect(hooks).to.deep.equal(['pretest']);
    expect(scripts).to.have.property('prebuild');
  });

  it('leave nothing in dist/ of sources that are gone', () => {
    const folder = join(ROOT, `dist/src/gone-${process.pid}`);
    mkdirSync(folder);
    const files = ['a.js', 'a.js.map', 'a.d.ts'].map((name) => join(folder, name));
    for (const file of files) writeFileSync(file, '');
    const kept = join(ROOT, 'dist/src/index.js');
    const { status, output } = run(process.execPath, ['scripts/build-js.mjs']);
    expect(status, output).to.equal(0);
    expect([...files, folder].filter((path) => existsSync(path))).to.deep.equal([]);
    expect(existsSync(kept)).to.equal(true);
  });
});
