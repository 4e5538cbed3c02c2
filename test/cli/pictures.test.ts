import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { pictureFile } from '../media/pictures.js';
import { seeingModel, special } from '../media/seeing-model.js';

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

  const run = (script: string, args: readonly string[], input = '') =>
    spawnSync(
      process.execPath,
      [join(ROOT, 'scripts', script), ...args, '--model_path', checkpoint.path, '--threads', '2'],
      { encoding: 'utf8', input, cwd: folder },
    );
  const generate = (...args: readonly string[]) =>
    run('atb-models.mjs', ['generate', 'What is this?', '--max_tokens', '4', '--json', ...args]);

  it('are what generate is asked about', () => {
    const { status, stdout, stderr } = generate('--is_chat_model', '--image', 'a.png', 'b.jpeg');
    expect(status, stderr).to.equal(0);
    const { promptTokens } = JSON.parse(stdout);
    const { stdout: without } = generate('--is_chat_model');
    expect(promptTokens).to.be.greaterThan(JSON.parse(without).promptTokens + 10);
    expect(generate('--is_chat_model', '--image', 'absent.png').stderr).to.contain('an existing file');
  });

  it('lie beside the dialogues of run-pa that name them', () => {
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
      return run('run-pa.mjs', ['--is_chat_model', '--input_file', 'dialogues.jsonl', '--json']);
    };
    const { status, stdout, stderr } = ask('a.png');
    expect(status, stderr).to.equal(0);
    const generated = JSON.parse(generate('--is_chat_model', '--image', 'a.png').stdout);
    expect(JSON.parse(stdout).answers[0].promptTokens).to.equal(generated.promptTokens);
    expect(ask('/etc/hostname').stderr).to.contain('a file below');
  });

  it('are shown in a chat, and saved with it', () => {
    const lines = ['/image a.png', 'What is this?', '/save talk.json', '/image absent.png', '/exit'];
    const { status, stdout, stderr } = run(
      'atb-models.mjs',
      ['chat', '--max_tokens', '3', '--json'],
      lines.join('\n'),
    );
    // Something was reported.
    expect(status, stderr).to.equal(1);
    expect(JSON.parse(stdout)).to.have.property('isStopped', false);
    expect(stderr).to.contain('/image').and.to.contain('an existing file');
    const again = run('run-pa.mjs', ['--is_chat_model', '--input_file', 'talk.json', '--json']);
    expect(again.status, again.stderr).to.equal(0);
    expect(JSON.parse(again.stdout).answers[0].promptTokens).to.be.greaterThan(special('<|image_pad|>') / 10);
  });
});
