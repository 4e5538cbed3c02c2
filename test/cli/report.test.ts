import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { AnswerPrinter } from '../../src/cli/answer-printer.js';
import { OutputFile } from '../../src/cli/output-file.js';
import { appendPerfCsv, metricsTable, profileTable, resultToJson } from '../../src/cli/report.js';
import type { PAAnswer } from '../../src/engine/pa-options.js';
import type { PAResult } from '../../src/engine/pa-runner.js';

const answer = (index: number, text: string): PAAnswer => ({
  index,
  prompt: `prompt ${index}`,
  text,
  tokens: [5, 6],
  promptTokens: 7 + index,
  finishReason: 'length',
});

const RESULT: PAResult = {
  answers: [answer(0, 'zero'), answer(1, 'one')],
  metrics: {
    loadMs: 1500,
    endToEndMs: 123.456,
    ttftMs: [30, 40],
    prefillStepMs: [10, 20],
    decodeStepMs: [1, 2, 3, 6],
    prefillTokens: 15,
    decodeTokens: 6,
    peakMemoryBytes: 3 * 2 ** 20,
    isa: 'avx2',
    threads: 2,
  },
};

describe('the figures of a run', () => {
  it('are a table: rates over the time of their own steps', () => {
    const rows = metricsTable(RESULT.metrics)
      .split('\n')
      .flatMap((line) => {
        const [, metric = '', value = ''] = /^│ (.*?) +│ +(.*?) │$/.exec(line) ?? [];
        return metric === '' ? [] : [[metric, value]];
      });
    expect(Object.fromEntries(rows)).to.deep.equal({
      metric: 'value',
      'load time': '1500.0 ms',
      'time to first token (p50)': '40.0 ms',
      'per-token latency (p50)': '3.00 ms',
      'per-token latency (p99)': '6.00 ms',
      prefill: '500.0 tokens/s',
      decode: '500.0 tokens/s',
      'end to end': '123.5 ms',
      'peak memory': '3.0 MiB',
      kernels: 'avx2, 2 threads',
    });
  });

  it("are the original's columns in a file, with a header where there was none", () => {
    const folder = mkdtempSync(join(tmpdir(), 'atb-csv-'));
    const file = new OutputFile('--perf_csv', join(folder, 'perf.csv'));
    for (let i = 0; i < 2; i++) appendPerfCsv(file, RESULT, 64);
    const [header = '', row = '', again, end] = readFileSync(file.path, 'utf8').split('\n');
    expect([again, end]).to.deep.equal([row, '']);
    const cells = row.match(/"[^"]*"|[^,]+/g) ?? [];
    expect(Object.fromEntries(header.split(',').map((name, i) => [name, cells[i]]))).to.deep.equal({
      batch_size: '2',
      input_seq_len: '7',
      output_seq_len: '64',
      'e2e_time(ms)': '123.46',
      'prefill_time(ms)': '30.00',
      'decoder_token_time(ms)': '3.00',
      prefill_count: '2',
      prefill_token_times: '"10.00,20.00"',
      decode_token_times: '"1.00,2.00,3.00,6.00"',
      'prefill_average_time(ms)': '15.00',
    });
    rmSync(folder, { recursive: true });
  });

  it('are JSON, with a profile where there is one', () => {
    expect(JSON.parse(resultToJson(RESULT))).to.deep.equal(RESULT);
    expect(JSON.parse(resultToJson(RESULT, []))).to.deep.equal({ ...RESULT, profile: [] });
  });

  it('never say more than 100 % of the bound, but why', () => {
    const row = { phase: 'decode', name: 'down', type: 'Linear', calls: 2, totalMs: 1, share: 1 };
    const within = profileTable([{ ...row, bytesPerSecond: 1e9, flops: 1e9, ofBound: 0.5 }]);
    expect(within)
      .to.match(/│ +50 % │/)
      .and.to.match(/1\.00 GB\/s/);
    expect(within).not.to.contain('in cache');
    const beyond = profileTable([{ ...row, bytesPerSecond: 1e9, flops: 1e9, ofBound: 3.25 }]);
    expect(beyond).to.match(/│ +in cache │/);
    expect(beyond.split('\n').at(-1)).to.match(/^in cache: read from the processor's cache/);
    expect(beyond).not.to.contain('325');
  });
});

describe('answers that stream', () => {
  it('are printed one after another, each at once while it is first', () => {
    let printed = '';
    const printer = new AnswerPrinter((text) => {
      printed += text;
    });
    printer.text(1, 'on', 'prompt 1');
    expect(printed).to.equal('');
    printer.text(0, 'ze', 'prompt 0');
    expect(printed).to.equal('Question[0]: prompt 0\nAnswer[0]: ze');
    printer.text(1, 'e', 'prompt 1');
    printer.answer(answer(1, 'one'));
    printer.text(0, 'r', 'prompt 0');
    expect(printed).to.equal('Question[0]: prompt 0\nAnswer[0]: zer');
    printer.text(2, 'tw', 'prompt 2');
    printer.answer(answer(0, 'zero'));
    expect(printed).to.equal(
      'Question[0]: prompt 0\nAnswer[0]: zero\nGenerate[0] token num: (0, 2)\n\n' +
        'Question[1]: prompt 1\nAnswer[1]: one\nGenerate[1] token num: (1, 2)\n\n' +
        'Question[2]: prompt 2\nAnswer[2]: tw',
    );
  });

  it('have ids where there is no text', () => {
    const { text: _, ...silent } = answer(0, '');
    let printed = '';
    new AnswerPrinter((text) => {
      printed += text;
    }).answer(silent);
    expect(printed).to.contain('Answer[0]: [5, 6]\n');
  });
});
