import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { pictureFile } from '../media/pictures.js';
import { seeingModel, special } from '../media/seeing-model.js';
import { runAtbModels } from './in-process.js';

const ROOT = join(import.meta.dirname, '../../..');

describe('pictures on the command line', function () {
  this.timeout(60_000);
  let checkpoint: ReturnType<typeof seeingModel>;
  let folder: string;
  before(() => {
    checkpoint = seeingModel();
    folder = mkdtempSync(join(tmpdir(), 'atb-pictures-'));
    writeFileSync(join(folder, 'a.png'), pictureFile('plain.png'));
    writeFileSync(join(folder, 'b.jpeg'), pictureFile('turned-6.jpeg'));
  });
  after(() => {
    checkpoint.remove();
    rmSync(folder, { recursive: true });
  });

  const place = () => ['--model_path', checkpoint.path, '--threads', '2'];
  const runPa = (...args: readonly string[]) =>
    spawnSync(process.execPath, [join(ROOT, 'scripts/run-pa.mjs'), ...args, '--json', ...place()], {
      encoding: 'utf8',
      cwd: folder,
    });
  const generate = (...args: readonly string[]) =>
    runAtbModels(['generate', 'What is this?', '--max_tokens', '4', '--json', ...args, ...place()]);
  const file = (name: string) => join(folder, name);

  it('are what generate is asked about', async () => {
    const { status, stdout, stderr } = await generate(
      ...['--is_chat_model', '--image', file('a.png'), file('b.jpeg')],
    );
    expect(status, stderr).to.equal(0);
    const { promptTokens } = JSON.parse(stdout);
    const { stdout: without } = await generate('--is_chat_model');
    expect(promptTokens).to.be.greaterThan(JSON.parse(without).promptTokens + 10);
    const absent = await generate('--is_chat_model', '--image', file('absent.png'));
    expect(absent.stderr).to.contain('an existing file');
  });

  it('lie beside the dialogues of run-pa that name them', async () => {
    const dialogue = (path: string) => [
      {
        role: 'user',
        content: [
          { type: 'image', image: path },
          { type: 'text', text: 'What is this?' },
        ],
      },
    ];
    const ask = (path: string) => {
      writeFileSync(join(folder, 'dialogues.jsonl'), `${JSON.stringify(dialogue(path))}\n`);
      return runPa('--is_chat_model', '--input_file', 'dialogues.jsonl');
    };
    const { status, stdout, stderr } = ask('a.png');
    expect(status, stderr).to.equal(0);
    const generated = JSON.parse((await generate('--is_chat_model', '--image', file('a.png'))).stdout);
    expect(JSON.parse(stdout).answers[0].promptTokens).to.equal(generated.promptTokens);
    expect(ask('/etc/hostname').stderr).to.contain('a file below');
  });

  it('are shown in a chat, and saved with it', async () => {
    const [picture, talk, absent] = [file('a.png'), file('talk.json'), file('absent.png')];
    const lines = [`/image ${picture}`, 'What is this?', `/save ${talk}`, `/image ${absent}`, '/exit'];
    const { status, stdout, stderr } = await runAtbModels(
      ['chat', '--max_tokens', '3', '--json', ...place()],
      lines.join('\n'),
    );
    // Something was reported.
    expect(status, stderr).to.equal(1);
    expect(JSON.parse(stdout)).to.have.property('isStopped', false);
    expect(stderr).to.contain('/image').and.to.contain('an existing file');
    const again = runPa('--is_chat_model', '--input_file', talk);
    expect(again.status, again.stderr).to.equal(0);
    expect(JSON.parse(again.stdout).answers[0].promptTokens).to.be.greaterThan(special('<|image_pad|>') / 10);
  });
});
