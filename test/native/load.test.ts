import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { AtbError } from '../../src/errors.js';
import {
  addonCandidates,
  availableIsas,
  createEngine,
  kernelTables,
  packedKey,
  supportedOps,
} from '../../src/native/index.js';
import { expectNative, temporaryFolder } from './graphs.js';

const SCRIPT = fileURLToPath(new URL('../../../scripts/build-native.mjs', import.meta.url));

function build(args: readonly string[], env: Readonly<Record<string, string>>) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, ...args], {
    encoding: 'utf8',
    env,
  });
  return { status, output: `${stdout}${stderr}` };
}

describe('finding the native addon', () => {
  const folder = temporaryFolder();

  it('looks in the build, then among the prebuilt ones', () => {
    const [built, prebuilt, ...others] = addonCandidates();
    expect(built).to.match(/[/\\]build[/\\]release[/\\]atb_models\.node$/);
    expect(prebuilt).to.contain(`${process.platform}-${process.arch}`);
    expect(others).to.deep.equal([]);
    expect([built, prebuilt].some((path) => path !== undefined && existsSync(path))).to.equal(true);
    expect(addonCandidates('mine.node')).to.deep.equal(['mine.node']);
  });

  it('says where it looked, and what to run, when there is none', () => {
    const nativePath = folder.path('absent.node');
    expect(() => createEngine({ threads: 1, nativePath }))
      .to.throw(AtbError, /npm run build:native/)
      .that.has.property('detail')
      .that.deep.includes({ looked: [nativePath] });
    expect(() => createEngine({ threads: 1, nativePath }))
      .to.throw(AtbError, /correct nativePath \(the command line's ATB_MODELS_NATIVE\)/)
      .with.property('code', 'NATIVE_MISSING');
    for (const ask of [availableIsas, kernelTables, supportedOps, packedKey.bind(undefined, 'a file')])
      expect(() => ask(nativePath))
        .to.throw(AtbError)
        .with.property('code', 'NATIVE_MISSING');
  });

  it('says why a file cannot be loaded', () => {
    const nativePath = folder.path('text.node');
    writeFileSync(nativePath, 'not a library');
    expect(() => createEngine({ threads: 1, nativePath }))
      .to.throw(AtbError, /cannot be loaded/)
      .with.property('code', 'NATIVE_MISSING');
  });

  it('runs no other file as JavaScript', () => {
    const script = folder.path('script.cjs');
    writeFileSync(script, 'throw new Error("it ran");');
    expect(() => createEngine({ threads: 1, nativePath: script }))
      .to.throw(AtbError, /cannot be loaded \(its name does not end in .node\)/)
      .with.property('code', 'NATIVE_MISSING');
  });

  it('wraps native failures with their code, their cause and the caller in the stack', async () => {
    const engine = createEngine({ threads: 1 });
    await expectNative('NATIVE_GRAPH_UNKNOWN', /no graph 1/, () => engine.unloadGraph(1));
    const caller = async () => {
      await engine.run(1, {});
    };
    const error = await caller().catch((failure: unknown) => failure);
    expect(error).to.be.instanceOf(AtbError);
    expect((error as Error).stack).to.contain('caller');
    expect((error as Error).cause).to.have.property('code', 'NATIVE_GRAPH_UNKNOWN');
    engine.dispose();
  });
});

describe('building the native addon', () => {
  const folder = temporaryFolder();

  it('names what is missing and how to get it on each system', () => {
    const { status, output } = build(['--sanitize', 'nothing'], { PATH: folder.path('empty') });
    expect(status).to.equal(1);
    for (const text of ['CMake 3.20', 'C++20 compiler', 'make or ninja', 'apt-get', 'dnf', 'brew', 'Windows'])
      expect(output).to.contain(text);
  });

  it('names a compiler that does not know C++20', () => {
    const compiler = folder.path('old-cxx');
    writeFileSync(compiler, '#!/bin/sh\n[ "$1" = --version ] && echo "old-cxx 4.8" && exit 0\nexit 1\n', {
      mode: 0o755,
    });
    const { status, output } = build(['--sanitize', 'nothing'], {
      PATH: process.env.PATH ?? '',
      CXX: compiler,
    });
    expect(status).to.equal(1);
    expect(output).to.contain('old-cxx 4.8').and.to.contain('does not compile C++20');
    expect(output).not.to.contain('make or ninja');
  });

  it('does nothing on install when it is told to skip', () => {
    const env = { PATH: folder.path('empty'), ATB_SKIP_NATIVE_BUILD: '1' };
    expect(build(['--if-needed'], env)).to.deep.equal({ status: 0, output: '' });
  });
});
