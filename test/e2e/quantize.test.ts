import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { inFlags } from '../../src/cli/failure.js';
import { parseRunPaArguments } from '../../src/cli/run-pa.js';
import { PARunner } from '../../src/engine/pa-runner.js';
import { runAtbModels } from '../cli/in-process.js';
import { failure } from '../weights/safetensors-writer.js';

const ROOT = join(import.meta.dirname, '../../..');
const MODEL = join(ROOT, 'examples/models/tiny-stories');

const runPa = (...args: string[]) =>
  spawnSync(process.execPath, [join(ROOT, 'scripts/run-pa.mjs'), ...args], { encoding: 'utf8' });
const atbModels = (...args: string[]) => runAtbModels(args);

describe('quantising from the command line', function () {
  this.timeout(120_000);
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'atb-quantize-command-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  const answer = (...args: string[]): string => {
    const { status, stdout, stderr } = runPa('--json', '--max_output_length', '40', ...args);
    expect(status, stderr).to.equal(0);
    return JSON.parse(stdout).answers[0].text;
  };

  it('at load and through a checkpoint tells the same story', async () => {
    const output = join(folder, 'tiny-w4a16');
    const quantize = ['--quantize', 'w4a16', '--quant-group-size', '32'];
    const { status, stdout, stderr } = await atbModels('quantize', MODEL, output, ...quantize);
    expect([status, stdout], stderr).to.deep.equal([0, '']);
    expect(stderr).to.match(/^quantising: \d+ % of \d+\.\d MiB\n(.*\n)*quantising: 100 %/);
    expect(readdirSync(output)).to.include.members(['model.safetensors', 'quant_model_description.json']);
    const prompt = ['--input_texts', 'Once upon a time'];
    const story = answer('--model_path', output, ...prompt);
    expect(story).to.have.length.above(60);
    expect(answer('--model_path', MODEL, ...quantize, ...prompt)).to.equal(story);
    const inspected = await atbModels('inspect', '--model_path', output);
    expect(inspected.stdout).to.match(/quantised: "W4A16"/);
    expect(inspected.status).to.equal(0);
  });

  it('is refused with one line that says why', async () => {
    const wrong: [RegExp, string[]][] = [
      [
        /quant_group_size must be used together with quantize w4a16 or w4a8_dynamic/,
        ['w8a16', '--quant_group_size', '64'],
      ],
      [/--quantize must be one of w8a16, w8a8_dynamic, w4a16, w4a8_dynamic, found "w2a16"/, ['w2a16']],
      [/--quant_group_size must be one of 32, 64, 128, found 48/, ['w4a16', '--quant_group_size', '48']],
    ];
    for (const [message, [mode = '', ...more]] of wrong) {
      const args = ['node', 'run-pa', '--model_path', MODEL, '--quantize', mode, ...more];
      const refused = await failure('REQUEST_INVALID', async () => {
        const parsed = await parseRunPaArguments(args);
        if (typeof parsed !== 'string') await PARunner.load(parsed.runner);
      });
      expect(inFlags(refused)).to.match(message);
    }
  });

  /** Names that begin like `name`, finished or not. */
  const traces = (name: string): string[] => readdirSync(folder).filter((found) => found.includes(name));

  it('leaves nothing behind when a signal stops it, and ends by that signal', async () => {
    const args = [join(ROOT, 'scripts/atb-models.mjs'), 'quantize', MODEL, join(folder, 'stopped')];
    const child = spawn(process.execPath, [...args, '--quantize', 'w8a16', '--threads', '1']);
    let stderr = '';
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    const ended = once(child, 'close');
    while (child.exitCode === null && traces('.stopped-').length === 0)
      await new Promise((resolve) => setTimeout(resolve, 1));
    child.kill('SIGINT');
    const [code, signal] = await ended;
    // A machine may be quick enough to finish first.
    if (code === 0) expect(traces('stopped')).to.deep.equal(['stopped']);
    else {
      expect([code, signal], stderr).to.deep.equal([null, 'SIGINT']);
      expect(stderr).to.match(/stopped was not written, because the work was stopped/);
      expect(traces('stopped')).to.deep.equal([]);
    }
  });

  it('says in one line that a disk is full, and leaves nothing behind', () => {
    // A limit on the size of files stands for a disk: the system refuses in the same way, in the middle of a file.
    const program = `trap '' XFSZ; ulimit -f 256; exec "$0" "$@"`;
    const command = [process.execPath, join(ROOT, 'scripts/atb-models.mjs'), 'quantize', MODEL];
    const args = [...command, join(folder, 'too-large'), '--quantize', 'w8a16'];
    const { status, stderr } = spawnSync('bash', ['-c', program, ...args], { encoding: 'utf8' });
    expect(status).to.equal(1);
    expect(stderr).to.match(/^OUTPUT_UNWRITABLE: [^\n]*too-large[^\n]*EFBIG[^\n]*\n$/m);
    expect(traces('too-large')).to.deep.equal([]);
  });

  it('is measured by the perplexity of a text', async () => {
    const text = ['--text', join(MODEL, 'README.md'), '--context', '128'];
    const args = ['eval', '--model_path', MODEL, ...text, '--quantize', 'w8a16'];
    const asText = await atbModels(...args);
    expect(asText.status, asText.stderr).to.equal(0);
    expect(asText.stdout).to.match(
      /^perplexity [\d.]+ \([\d.]+ nats per token\), \d+ tokens scored in \d+ windows of 128/,
    );
    const report = JSON.parse((await atbModels(...args, '--json')).stdout);
    expect(report).to.include({ contextLen: 128 });
    expect(Math.log(report.perplexity)).to.be.closeTo(report.meanNll, 1e-9);
    const missing = await atbModels('eval', '--model_path', MODEL, '--text', join(folder, 'absent'));
    expect([missing.status, missing.stderr.split('\n').length]).to.deep.equal([1, 2]);
  });
});
