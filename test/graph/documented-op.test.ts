import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { AtbGraph, CommonOpBuilderManager } from '../../src/index.js';

const PACKAGE = join(import.meta.dirname, '../../..');
const OPTIONS = {
  strict: true,
  module: 'nodenext',
  target: 'es2023',
  outDir: 'out',
  rootDir: '.',
  types: [],
  skipLibCheck: true,
};

describe('the examples of docs/adding-an-op.md', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'atb-documented-op-'));
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(PACKAGE, join(folder, 'node_modules/atb-models'), 'dir');
    writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: OPTIONS }));
    const text = readFileSync(join(PACKAGE, 'docs/adding-an-op.md'), 'utf8');
    const examples = [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code = '']) => code);
    expect(examples).to.have.length(2);
    ['clamp.ts', 'scale.ts'].forEach((file, index) => {
      writeFileSync(join(folder, file), examples[index] ?? '');
    });
  });
  after(() => rmSync(folder, { recursive: true }));

  it('compile in a folder of the user, against the types of the package', function () {
    this.timeout(120_000);
    const tsc = join(PACKAGE, 'node_modules/typescript/bin/tsc');
    const { stdout, status } = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' });
    expect(stdout).to.equal('');
    expect(status).to.equal(0);
  });

  it('do what they say', async () => {
    const { clamp } = await import(join(folder, 'out/clamp.js'));
    expect(clamp.spec().nodes[0].op).to.deep.equal({ type: 'Clamp', param: { min: -1, max: 1 } });
    await import(join(folder, 'out/scale.js'));
    const graph = new AtbGraph('g');
    graph.addInputOutput({ input: ['x'], output: ['scaled'] });
    // The example is compiled elsewhere, so its category is no type here.
    const scale = CommonOpBuilderManager.getBuilder({ category: 'SCALE', opName: 's', factor: 2 } as never);
    expect(scale.name).to.equal('Muls');
    scale.build(graph, { input: 'x', scaledOut: 'scaled' } as never);
    expect(graph.build().nodes[0]?.op).to.deep.equal({
      type: 'Elewise',
      param: { elewiseType: 'ELEWISE_MULS', mulsParam: { varAttr: 2 } },
    });
  });
});
