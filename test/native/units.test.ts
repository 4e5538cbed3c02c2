import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

const fromRoot = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const TESTS = fromRoot('native/test');

/** "OneTestName" as a sentence. */
const sentence = (name: string): string =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1 $2')
    .toLowerCase();

// Each program prints "ok Name" per test that passed; the names stand in its main().
describe('C++ units', () => {
  for (const file of readdirSync(TESTS).filter((name) => name.endsWith('_test.cpp'))) {
    const program = file.slice(0, -'.cpp'.length);
    const names = [...readFileSync(`${TESTS}/${file}`, 'utf8').matchAll(/^ *RUN\((\w+)\);/gm)].map(
      ([, name]) => name as string,
    );

    describe(program, () => {
      let status: number | null = null;
      let output = '';
      before(function () {
        this.timeout(120000);
        const binary = fromRoot(`build/release/${program}`);
        expect(existsSync(binary), `${binary} (npm run build:native -- --tests)`).to.equal(true);
        const run = spawnSync(binary, { encoding: 'utf8', timeout: 590_000, maxBuffer: 1 << 26 });
        status = run.status;
        output = `${run.stdout}${run.stderr}`;
      });
      for (const name of names) {
        it(sentence(name), () => {
          expect(output.split('\n'), output).to.include(`ok ${name}`);
        });
      }
      it('ends with success', () => {
        expect(status, output).to.equal(0);
      });
    });
  }
});
