import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';

const ROOT = join(import.meta.dirname, '../../..');
const MODEL = join(ROOT, 'examples/models/tiny-stories');

/** A program of somebody who installed the package: nothing but its public names. */
const PROGRAM = `
import { AtbError, BaseOperation, PARunner } from 'atb-models';
const runner = await PARunner.load({ modelPath: ${JSON.stringify(MODEL)}, maxOutputLength: 32 });
let streamed = '';
for await (const { text } of runner.generate('Once upon a time', { maxTokens: 24 })) streamed += text;
const { answers } = await runner.infer({ kind: 'texts', prompts: ['Once upon a time'] }, { maxTokens: 24 });
await runner.dispose();
const x = { dtype: 'f32', shape: [2], data: Float32Array.of(1, 2) };
const { out0 } = await new BaseOperation('Elewise', { elewiseType: 'ELEWISE_ADD' }, 'add').forward({ in0: x, in1: x });
const refused = await PARunner.load({ modelPath: '/nowhere' }).catch((error) => error instanceof AtbError && error.code);
console.log(JSON.stringify({ streamed, answer: answers[0].text, sum: [...out0.data], refused }));
`;

const TYPED = `
import { PARunner, type PAResult, registerModel, BaseRouter, AtbGraph, ModelRunner, CommonOpBuilderManager, FlashForCausalLMATB, type OpBuilder, type ParamOf } from 'atb-models';
export type BuilderOfOnesOwn = [OpBuilder, ParamOf<'LINEAR'>];
const names = [registerModel, BaseRouter, AtbGraph, ModelRunner, CommonOpBuilderManager, FlashForCausalLMATB];
export async function answer(): Promise<PAResult> {
  const runner = await PARunner.load({ modelPath: 'x' });
  return names.length ? runner.infer({ kind: 'texts', prompts: ['a'] }) : Promise.reject(new Error());
}
`;

describe('the packed package', function () {
  this.timeout(600_000);
  let project: string;

  before(() => {
    project = mkdtempSync(join(tmpdir(), 'atb-package-'));
    const npm = (...args: string[]) =>
      execFileSync('npm', args, {
        cwd: project,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...env(), ATB_SKIP_NATIVE_BUILD: '1' },
      });
    execFileSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', project], {
      cwd: ROOT,
    });
    writeFileSync(join(project, 'package.json'), '{ "name": "consumer", "private": true, "type": "module" }');
    const tarball = readdirSync(project).find((name) => name.endsWith('.tgz')) as string;
    npm('install', '--no-audit', '--no-fund', '--prefer-offline', `./${tarball}`);
    // A published package brings a prebuilt addon; compiling it once more here would only repeat the build's test.
    const prebuilt = join(
      project,
      'node_modules/atb-models/prebuilds',
      `${process.platform}-${process.arch}`,
    );
    mkdirSync(prebuilt, { recursive: true });
    cpSync(join(ROOT, 'build/release/atb_models.node'), join(prebuilt, 'atb_models.node'));
  });
  after(() => rmSync(project, { recursive: true, force: true }));

  it('generates text in an empty project', () => {
    writeFileSync(join(project, 'main.mjs'), PROGRAM);
    const output = execFileSync(process.execPath, ['main.mjs'], { cwd: project, encoding: 'utf8' });
    const { streamed, answer, sum, refused } = JSON.parse(output);
    expect(streamed)
      .to.match(/^,? ?\w+/)
      .and.to.equal(answer);
    expect(sum).to.deep.equal([2, 4]);
    expect(refused).to.equal('CONFIG_INVALID');
  });

  it('has types', () => {
    writeFileSync(join(project, 'typed.mts'), TYPED);
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    const flags = [
      '--noEmit',
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'es2023',
      '--types',
      'node',
      '--typeRoots',
      join(ROOT, 'node_modules/@types'),
    ];
    expect(
      execFileSync(process.execPath, [tsc, ...flags, 'typed.mts'], { cwd: project, encoding: 'utf8' }),
    ).to.equal('');
  });

  it('has types that ask for no newer TypeScript than other packages do', () => {
    const root = join(project, 'node_modules/atb-models');
    const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      readonly exports: Readonly<Record<string, string | { readonly types: string }>>;
    };
    // What an importer's compiler reads: the entries, and what they import in turn.
    const read = new Set<string>();
    const follow = (file: string): void => {
      if (read.has(file)) return;
      read.add(file);
      for (const [, path = ''] of readFileSync(file, 'utf8').matchAll(
        /(?:from|import\() ?['"](\.[^'"]+)\.js['"]/g,
      ))
        follow(join(dirname(file), `${path}.d.ts`));
    };
    for (const entry of Object.values(exports))
      if (typeof entry !== 'string') follow(join(root, entry.types));
    expect(read.size).to.be.above(100);
    const declared = [...read].filter((file) =>
      /from 'zod'|import\("zod"\)/.test(readFileSync(file, 'utf8')),
    );
    expect(declared).to.deep.equal([]);
  });

  it('has what its README leads to, and the sources of its source maps', () => {
    const root = join(project, 'node_modules/atb-models');
    const readme = readFileSync(join(root, 'README.md'), 'utf8');
    const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)|(examples\/models\/[a-z-]+)/g)].map(
      ([, link, model]) => link ?? model ?? '',
    );
    expect(links).to.include('docs/architecture.md').and.to.include('examples/models/tiny-stories');
    expect(links.filter((link) => !existsSync(join(root, link)))).to.deep.equal([]);
    const maps = readdirSync(join(root, 'dist'), { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('.map'),
    );
    expect(maps).to.not.be.empty;
    for (const map of maps) {
      const { sources, sourcesContent } = JSON.parse(readFileSync(join(root, 'dist', map), 'utf8'));
      expect(sourcesContent, map).to.have.length(sources.length);
    }
  });

  it('says which Node.js it needs, in one line', () => {
    const old = "Object.defineProperty(process.versions, 'node', { value: '18.20.4' });";
    const run = (bin: string) =>
      spawnSync(
        process.execPath,
        [
          '--import',
          `data:text/javascript,${encodeURIComponent(old)}`,
          join(project, 'node_modules/.bin', bin),
        ],
        { encoding: 'utf8' },
      );
    for (const bin of ['run-pa', 'atb-models']) {
      const { status, stderr } = run(bin);
      expect({ status, stderr }).to.deep.equal({
        status: 1,
        stderr: 'atb-models: Node.js 20.19 or newer is needed, this is 18.20.4\n',
      });
    }
  });

  it('says how to get the addon that a dependent project lacks', () => {
    const prebuilds = join(project, 'node_modules/atb-models/prebuilds');
    renameSync(prebuilds, `${prebuilds}-away`);
    try {
      const args = [join(project, 'node_modules/.bin/run-pa'), '--model_path', MODEL];
      const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
      expect(status).to.equal(1);
      expect(stderr).to.match(/^NATIVE_MISSING: the native addon is not there; run `npm rebuild atb-models`/);
    } finally {
      renameSync(`${prebuilds}-away`, prebuilds);
    }
  });

  it('has both commands', () => {
    const help = (bin: string) =>
      execFileSync(join(project, 'node_modules/.bin', bin), ['--help'], { encoding: 'utf8' });
    expect(help('run-pa')).to.include('--model_path');
    expect(help('atb-models')).to.include('graph').and.to.include('inspect');
  });
});

function env(): NodeJS.ProcessEnv {
  const { ...copy } = process.env;
  return copy;
}
