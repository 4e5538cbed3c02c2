import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'chai';

const ROOT = join(import.meta.dirname, '../../..');

function atbModels(...args: string[]): { readonly status: number | null; readonly text: string } {
  const program = join(ROOT, 'scripts/atb-models.mjs');
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
  return { status, text: `${stdout}${stderr}` };
}

describe('the help of atb-models', () => {
  const overview = atbModels('--help').text;
  const commands = [...overview.matchAll(/^ {2}atb-models ([a-z-]+)/gm)].map(([, name = '']) => name);

  it('lists its commands, and leads to run-pa', () => {
    expect(commands).to.include.members(['check', 'compare', 'eval', 'graph', 'inspect', 'new', 'quantize']);
    expect(overview).to.contain('run-pa --model_path DIR');
    expect(atbModels('-h').text).to.equal(overview);
    expect(atbModels('--version').text).to.match(/^\d+\.\d+\.\d+\n$/);
  });

  for (const command of new Set(commands)) {
    it(`has an example of ${command}, on a screen`, () => {
      const { status, text } = atbModels(command, '--help');
      expect(status).to.equal(0);
      expect(text).to.match(new RegExp(`Examples:\n  atb-models ${command} [^\n]+\n`));
      expect(text.split('\n').length).to.be.at.most(50);
      // A server logs JSON anyway, a script is for a shell, and graphs are JSON by --format.
      if (!['serve', 'completion', 'graph'].includes(command)) expect(text).to.match(/^ +--json /m);
    });
  }

  it('names the nearest flag of one that does not exist', () => {
    const { status, text } = atbModels('graph', '--model_paht', 'x', '--phase', 'decode');
    expect(status).to.equal(1);
    expect(text).to.match(/^OPTION_UNKNOWN: there is no --model_paht; nearest: --model_path;/);
  });

  it('says of a checkpoint without its flag which flag names it', () => {
    const { status, text } = atbModels('inspect', 'some/model');
    expect(status).to.equal(1);
    expect(text).to.match(
      /`atb-models inspect --help` lists it \(--model_path names a checkpoint\), found "some\/model"/,
    );
  });
});
