import { expect } from 'chai';
import { COMMANDS } from '../../src/cli/commands.js';
import { COMPLETION } from '../../src/cli/completion.js';
import { runAtbModels } from './in-process.js';

async function atbModels(...args: string[]): Promise<{ readonly status: number; readonly text: string }> {
  const { status, stdout, stderr } = await runAtbModels(args);
  return { status, text: `${stdout}${stderr}` };
}

describe('the help of atb-models', () => {
  const commands = [...Object.keys(COMMANDS), COMPLETION];

  it('lists its commands, and leads to run-pa', async () => {
    const overview = (await atbModels('--help')).text;
    const listed = [...overview.matchAll(/^ {2}atb-models ([a-z-]+)/gm)].map(([, name = '']) => name);
    expect([...new Set(listed)]).to.include.members(commands);
    expect(overview).to.contain('run-pa --model_path DIR');
    expect((await atbModels('-h')).text).to.equal(overview);
    expect((await atbModels('help')).text).to.equal(overview);
    const { status, text } = await atbModels();
    expect([status, text.slice(0, 36)]).to.deep.equal([1, 'REQUEST_INVALID: the command must be']);
    expect((await atbModels('--version')).text).to.match(/^\d+\.\d+\.\d+\n$/);
  });

  for (const command of commands) {
    it(`has an example of ${command}, on a screen`, async () => {
      const { status, text } = await atbModels(command, '--help');
      expect(status).to.equal(0);
      expect(text).to.match(new RegExp(`Examples:\n  atb-models ${command} [^\n]+\n`));
      expect(text.split('\n').length).to.be.at.most(50);
      // A server logs JSON anyway, a script is for a shell, and graphs are JSON by --format.
      if (!['serve', 'completion', 'graph'].includes(command)) expect(text).to.match(/^ +--json /m);
    });
  }

  it('names the nearest flag of one that does not exist', async () => {
    const { status, text } = await atbModels('graph', '--model_paht', 'x', '--phase', 'decode');
    expect(status).to.equal(1);
    expect(text).to.match(/^OPTION_UNKNOWN: there is no --model_paht; nearest: --model_path;/);
  });

  it('says of a checkpoint without its flag which flag names it', async () => {
    const { status, text } = await atbModels('inspect', 'some/model');
    expect(status).to.equal(1);
    expect(text).to.match(
      /`atb-models inspect --help` lists it \(--model_path names a checkpoint\), found "some\/model"/,
    );
  });
});
