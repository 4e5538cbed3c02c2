import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'chai';
import { runAtbModels } from './in-process.js';

const PROGRAM = join(import.meta.dirname, '../../../scripts/atb-models.mjs');

function atbModels(args: readonly string[], shell = '/bin/bash'): string {
  const env = { ...process.env, SHELL: shell, ZSH_NAME: '' };
  const { stdout, stderr, status } = spawnSync(process.execPath, [PROGRAM, ...args], {
    encoding: 'utf8',
    env,
  });
  expect(status, stderr).to.equal(0);
  return stdout;
}

async function offered(...words: string[]): Promise<string[]> {
  const { status, stdout, stderr } = await runAtbModels(['--get-yargs-completions', 'atb-models', ...words]);
  expect(status, stderr).to.equal(0);
  return stdout.trim().split('\n');
}

describe('atb-models completion', function () {
  this.timeout(60_000);
  const { SHELL, ZSH_NAME } = process.env;
  before(() => Object.assign(process.env, { SHELL: '/bin/bash', ZSH_NAME: '' }));
  after(() => {
    for (const [name, value] of Object.entries({ SHELL, ZSH_NAME }))
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
  });

  it('knows every command that the help lists', async () => {
    const { stdout: overview } = await runAtbModels(['--help']);
    const commands = [...overview.matchAll(/^ {2}atb-models ([a-z-]+)/gm)].map(([, name = '']) => name);
    expect(commands).to.include.members(['bench-serve', 'chat', 'completion', 'generate', 'serve']);
    expect(await offered('')).to.include.members(commands);
  });

  it("knows a command's flags, and what a flag may be", async () => {
    expect(await offered('inspect', '--')).to.include.members([
      '--model_path',
      '--context',
      '--batch',
      '--json',
    ]);
    expect(await offered('chat', '--'))
      .to.include('--system')
      .and.not.to.include('--rate');
    expect(await offered('chat', '--dtype', '')).to.deep.equal(['bf16', 'f16', 'f32']);
    expect(await offered('serve', '--policy', 's')).to.deep.equal(['sjf']);
    // Nothing, so that the shell offers files.
    expect(await offered('inspect', '--model_path', '')).to.deep.equal(['']);
    expect(await offered('inspect', '--json', '')).to.include('--context');
  });

  it('prints a script for zsh, which completes commands, flags, what they may be, and files', function () {
    const script = atbModels(['completion'], '/bin/zsh');
    expect(script).to.match(/^#compdef atb-models\n/);
    if (spawnSync('zsh', ['--version']).status !== 0) {
      console.log('      skipped: there is no zsh (apt-get install zsh)');
      return this.skip();
    }
    const ask = (words: string): string => {
      const lines = [
        `atb-models() { '${process.execPath}' '${PROGRAM}' "$@"; }`,
        'compdef() { }',
        script,
        '_describe() { print -l -- "${(@P)2%%:*}"; }',
        '_default() { print files; }',
        `words=(${words}); CURRENT=$#words; BUFFER="$words"; CURSOR=$#BUFFER`,
        '_atb-models_yargs_completions',
      ];
      const { stdout, stderr } = spawnSync('zsh', ['-f', '-c', lines.join('\n')], { encoding: 'utf8' });
      return stdout + stderr;
    };
    // zsh itself leaves out those that begin otherwise.
    expect(ask('atb-models ins').split('\n')).to.include('inspect');
    expect(ask('atb-models inspect --con').split('\n')).to.include('--context').and.not.to.include('--rate');
    expect(ask('atb-models serve --policy s')).to.equal('sjf\n');
    expect(ask("atb-models inspect --model_path ''")).to.equal('files\n');
  });

  it('prints a script for bash, which completes', function () {
    const script = atbModels(['completion']);
    expect(script).to.match(/complete .* atb-models\n/);
    if (process.platform === 'win32') this.skip();
    const ask = [
      `atb-models() { '${process.execPath}' '${PROGRAM}' "$@"; }`,
      script,
      'COMP_WORDS=(atb-models inspect --con); COMP_CWORD=2',
      '_atb-models_yargs_completions; echo "${COMPREPLY[@]}"',
    ].join('\n');
    const { stdout, stderr } = spawnSync('bash', ['-c', ask], { encoding: 'utf8' });
    expect(stdout, stderr).to.equal('--context\n');
  });
});
