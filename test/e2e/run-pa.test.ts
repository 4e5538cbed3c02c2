import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { inFlags } from '../../src/cli/failure.js';
import { resultToJson } from '../../src/cli/report.js';
import { parseRunPaArguments } from '../../src/cli/run-pa.js';
import { AtbError, PARunner } from '../../src/index.js';

const ROOT = join(import.meta.dirname, '../../..');
const MODEL = join(ROOT, 'examples/models/tiny-stories');

function runPa(...args: string[]): {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
} {
  return spawnSync(process.execPath, [join(ROOT, 'scripts/run-pa.mjs'), ...args], { encoding: 'utf8' });
}

interface Found {
  readonly answers: {
    readonly text: string;
    readonly tokens: number[];
    readonly promptTokens: number;
    readonly finishReason: string;
    readonly logprobs?: unknown[];
  }[];
}

const json = (...args: string[]): Found => {
  const { status, stdout, stderr } = runPa('--model_path', MODEL, '--json', ...args);
  expect(status, stderr).to.equal(0);
  return JSON.parse(stdout);
};

/**
 * What run-pa does with flags, without a process for it: a start takes longer than answers. That the command does the
 * same is seen where it is started.
 */
async function inProcess(...args: string[]): Promise<Found> {
  const parsed = await parseRunPaArguments(['node', 'run-pa', '--model_path', MODEL, '--json', ...args]);
  if (typeof parsed === 'string') throw new Error('--help was not asked for');
  const runner = await PARunner.load(parsed.runner);
  try {
    await runner.warmUp();
    return JSON.parse(resultToJson(await runner.infer(parsed.inputs, parsed.sampling)));
  } finally {
    await runner.dispose();
  }
}

describe('run-pa', function () {
  this.timeout(120_000);
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'atb-run-pa-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  it('prints question, answer, token count and a table', () => {
    const { status, stdout, stderr } = runPa(
      '--model_path',
      MODEL,
      '--input_texts',
      'Once upon a time',
      '--max_output_length',
      '60',
    );
    expect(status, stderr).to.equal(0);
    expect(stdout).to.match(/Question\[0\]: Once upon a time\nAnswer\[0\]: .{100,}/s);
    expect(stdout).to.match(/Generate\[0\] token num: \(0, \d+\)/);
    for (const row of [
      'load time',
      'time to first token',
      'per-token latency (p99)',
      'prefill',
      'decode',
      'peak memory',
    ])
      expect(stdout).to.include(row);
  });

  it('answers more prompts than max_batch_size, each as if it were alone', async () => {
    const prompts = ['Once upon a time', 'One day, a girl', 'The dog', 'There was a little', 'In the town'];
    const together = json('--input_texts', ...prompts, '--max_batch_size', '2', '--max_output_length', '24');
    const alone: unknown[] = [];
    for (const prompt of prompts)
      alone.push((await inProcess('--input_texts', prompt, '--max_output_length', '24')).answers[0]?.tokens);
    expect(together.answers.map(({ tokens }) => tokens)).to.deep.equal(alone);
  });

  it('answers a single prompt max_batch_size times', async () => {
    const { answers } = await inProcess(
      ...['--input_texts', 'Once', '--max_batch_size', '3', '--max_output_length', '4'],
    );
    expect(answers).to.have.length(3);
  });

  it('takes token ids, and gives them back without a tokenizer', async () => {
    const { answers } = await inProcess(
      '--input_ids',
      '0,10,20',
      '0,30',
      '--load_tokenizer',
      'False',
      '--max_output_length',
      '5',
      '--ignore_eos',
    );
    expect(answers.map(({ promptTokens, tokens }) => [promptTokens, tokens.length])).to.deep.equal([
      [3, 5],
      [2, 5],
    ]);
    expect(answers[0]).to.not.have.property('text');
  });

  it('answers dialogues through the chat template', () => {
    const file = join(folder, 'chat.jsonl');
    writeFileSync(file, '[{"role":"user","content":"Tell me a story about a dog named Max."}]\n');
    const { answers } = json('--is_chat_model', '--input_file', file, '--max_output_length', '40');
    expect(answers[0]?.text).to.match(/[A-Z]\w+.*\./s);
  });

  it('does what its flags say, down to the steps', () => {
    const prompts = [
      '--input_texts',
      'Once upon a time',
      'One day',
      'The',
      '--max_output_length',
      '3',
      '--max_batch_size',
      '3',
    ];
    const metrics = (...args: string[]) => {
      const { status, stdout, stderr } = runPa('--model_path', MODEL, '--json', ...prompts, ...args);
      expect(status, stderr).to.equal(0);
      return JSON.parse(stdout).metrics as {
        readonly prefillStepMs: number[];
        readonly decodeStepMs: number[];
        readonly decodeTokens: number;
        readonly threads: number;
        readonly isa: string;
      };
    };
    const together = metrics('--threads', '1', '--isa', 'reference');
    expect(together).to.include({ threads: 1, isa: 'reference', decodeTokens: 6 });
    expect([together.prefillStepMs.length, together.decodeStepMs.length]).to.deep.equal([1, 2]);
    const more = JSON.stringify({ max_prefill_batch_size: 1, threads: 2 });
    const apart = metrics('--kw_args', more);
    expect(apart).to.include({ threads: 2 });
    expect(apart.prefillStepMs).to.have.length(3);
  });

  it('reads prompts from input_dict, in the dtype and with the passes that it is told', async () => {
    const dict = JSON.stringify([{ prompt: 'Once upon a time' }, { prompt: 'One day', adapter: 'base' }]);
    const length = ['--max_output_length', '8'];
    const { answers: texts } = await inProcess('--input_texts', 'Once upon a time', 'One day', ...length);
    expect(json('--input_dict', dict, ...length).answers).to.deep.equal(texts);
    const args = ['--input_texts', 'Once', '--passes', 'none', '--dtype', 'f32', ...length];
    const profile = join(folder, 'unfused.json');
    const { stdout } = runPa('--model_path', MODEL, ...args, '--profile', profile);
    expect(stdout).to.include('gate_up (Linear)').and.to.not.include('FusedLinear');
    const unfused = await inProcess(...args);
    const fused = await inProcess('--input_texts', 'Once', '--dtype', 'f32', ...length);
    expect(unfused.answers[0]?.tokens).to.deep.equal(fused.answers[0]?.tokens);
  });

  it('draws by its penalties and min_p, and reads no further than max_position_embeddings', async () => {
    const tokens = async (...args: string[]) => {
      const length = ['--max_output_length', '24', '--ignore_eos'];
      return (await inProcess('--input_texts', 'Once upon a time', ...length, ...args)).answers[0]?.tokens;
    };
    const greedy = await tokens();
    for (const flag of ['repetition_penalty', 'frequency_penalty', 'presence_penalty'])
      expect(await tokens(`--${flag}`, '1.9'), flag).to.not.deep.equal(greedy);
    // Of the best token alone nothing is left to draw.
    expect(await tokens('--temperature', '1', '--seed', '3', '--min_p', '1')).to.deep.equal(greedy);
    expect(await tokens('--temperature', '1', '--seed', '3')).to.not.deep.equal(greedy);
    expect((await tokens('--max_position_embeddings', '16'))?.length).to.be.below(16);
  });

  it('streams the text that it prints at the end, answer by answer', () => {
    const prompts = ['--input_texts', 'Once upon a time', 'One day', 'The', '--max_batch_size', '3'];
    const answers = (...args: string[]): string | undefined => {
      const { status, stdout, stderr } = runPa(
        ...['--model_path', MODEL, '--max_output_length', '30'],
        ...args,
      );
      expect(status, stderr).to.equal(0);
      return stdout.split('┌')[0];
    };
    expect(answers(...prompts))
      .to.match(
        /^Question\[0\]: Once upon a time\nAnswer\[0\]: .{30,}\nGenerate\[0\] token num: \(0, 30\)\n\n/s,
      )
      .and.to.equal(answers(...prompts, '--stream'));
  });

  it('prints one JSON object whatever else is asked for', () => {
    const profile = join(folder, 'json-trace.json');
    const args = ['--json', '--stream', '--profile', profile, '--max_output_length', '4'];
    const { status, stdout, stderr } = runPa('--model_path', MODEL, '--input_texts', 'Once', ...args);
    expect(status, stderr).to.equal(0);
    const { answers, profile: rows } = JSON.parse(stdout);
    expect(stderr).to.include(`Answer[0]: ${answers[0].text}\n`);
    expect(rows[0]).to.include.keys('phase', 'name', 'calls', 'totalMs', 'share');
  });

  it('ends without a word when its reader has seen enough', () => {
    const command = `"${process.execPath}" scripts/run-pa.mjs --model_path "${MODEL}" --input_texts Once | head -1`;
    const { status, stdout, stderr } = spawnSync('bash', ['-o', 'pipefail', '-c', command], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    expect({ status, stdout, stderr }).to.deep.equal({
      status: 0,
      stdout: 'Question[0]: Once\n',
      stderr: '',
    });
  });

  it('says in one line that standard output cannot be written', function () {
    if (process.platform !== 'linux') this.skip();
    const command = `"${process.execPath}" scripts/run-pa.mjs --model_path "${MODEL}" --input_texts Once > /dev/full`;
    const { status, stderr } = spawnSync('bash', ['-c', command], { cwd: ROOT, encoding: 'utf8' });
    expect(status).to.equal(1);
    expect(stderr).to.match(/^OUTPUT_UNWRITABLE: standard output: [^\n]*ENOSPC[^\n]*\n$/);
  });

  it('samples the same text from the same seed, and another from another', async () => {
    const drawn = ['--input_texts', 'Once upon a time', '--temperature', '1', '--top_p', '0.95'];
    const args = (seed: string) => [...drawn, '--seed', seed, '--max_output_length', '40'];
    const first = json(...args('1')).answers[0]?.tokens;
    expect((await inProcess(...args('1'))).answers[0]?.tokens).to.deep.equal(first);
    expect((await inProcess(...args('2'))).answers[0]?.tokens).to.not.deep.equal(first);
  });

  it('gives the tokens that the library gives, with what generation_config.json presets', async () => {
    const request = { temperature: 1, seed: 5, maxTokens: 20, ignoreEos: true };
    const runner = await PARunner.load({ modelPath: MODEL });
    const ofLibrary = await runner.generate('Once upon a time', request).result;
    const plain = await runner.generate('Once upon a time', { ...request, topK: 0, topP: 1, minP: 0 }).result;
    await runner.dispose();
    expect(ofLibrary.tokens).to.not.deep.equal(plain.tokens);
    const args = ['--temperature', '1', '--seed', '5', '--max_output_length', '20', '--ignore_eos'];
    const [answer] = json('--input_texts', 'Once upon a time', ...args).answers;
    expect(answer?.tokens).to.deep.equal(ofLibrary.tokens);
    const off = ['--top_k', '0', '--top_p', '1', '--min_p', '0'];
    const { answers } = await inProcess('--input_texts', 'Once upon a time', ...args, ...off);
    const [unset] = answers;
    expect(unset?.tokens).to.deep.equal(plain.tokens);
  });

  it('gives log-probs, stops at stop strings', async () => {
    const { answers } = await inProcess(
      '--input_texts',
      'Once upon a time',
      '--logprobs',
      '2',
      '--stop',
      '.',
      '--max_output_length',
      '60',
    );
    expect(answers[0]?.logprobs).to.have.length(answers[0]?.tokens.length as number);
    expect(answers[0]?.text).to.not.include('.');
    expect(answers[0]?.finishReason).to.equal('stop');
  });

  it("appends the original's benchmark columns to a file", () => {
    const file = join(folder, 'perf.csv');
    for (let i = 0; i < 2; i++)
      runPa('--model_path', MODEL, '--input_texts', 'Once', '--max_output_length', '4', '--perf_csv', file);
    const [header, ...rows] = readFileSync(file, 'utf8').trim().split('\n');
    expect(header).to.match(
      /^batch_size,input_seq_len,output_seq_len,e2e_time\(ms\),prefill_time\(ms\),decoder_token_time\(ms\),prefill_count/,
    );
    expect(rows).to.have.length(2);
  });

  it('profiles operations into a table and a Chrome trace', () => {
    const file = join(folder, 'trace.json');
    const { stdout, stderr } = runPa(
      '--model_path',
      MODEL,
      '--input_texts',
      'Once',
      '--max_output_length',
      '4',
      '--profile',
      file,
    );
    expect(stderr)
      .to.match(/prefill planned: first run\n/)
      .and.to.match(/decode planned: first run\n/);
    expect(stdout)
      .to.match(
        /decode +│ gate_up \(FusedLinear\) +│ +18 │.* GB\/s +│ +\d+\.\d GFLOP\/s +│ +(\d+ %|in cache) │/,
      )
      .and.to.match(
        /decode +│ attention \(PagedAttention\) +│ +18 │.* GB\/s +│ +\d+\.\d GFLOP\/s +│ +(\d+ %|in cache) │/,
      );
    const { traceEvents } = JSON.parse(readFileSync(file, 'utf8'));
    expect(traceEvents.filter(({ cat }: { cat: string }) => cat === 'decode').length % 3).to.equal(0);
    expect(traceEvents[0]).to.include({ name: 'word_embedding', cat: 'prefill', ph: 'X' });
    type TraceEvent = {
      name: string;
      cat?: string;
      tid: number;
      ts: number;
      dur: number;
      args: { name?: string };
    };
    const events = traceEvents as TraceEvent[];
    const lane = (name: string): TraceEvent[] => {
      const tid = events.find(({ args }) => args.name === name)?.tid;
      return events.filter((event) => event.tid === tid && event.cat !== undefined);
    };
    expect(lane('steps').map(({ name }) => name)).to.deep.equal(['prefill', 'decode', 'decode', 'decode']);
    expect(lane('sampler and return')).to.have.length(4);
    expect(lane('JavaScript').map(({ name }) => name)).to.include.members(['make inputs', 'between steps']);
    // Clocks agree: each operation lies within a step.
    for (const { ts, dur } of lane('operations'))
      expect(lane('steps').some((step) => step.ts <= ts && ts + dur <= step.ts + step.dur)).to.equal(true);
  });

  it('keeps its tokens when the cache is too small for all', async () => {
    const prompts = [
      '--input_texts',
      'Once upon a time there was a little girl',
      'One day',
      'The',
      '--max_output_length',
      '100',
      '--ignore_eos',
    ];
    const blocks = ['--max_batch_size', '3', '--block_size', '32'];
    const { answers: room } = await inProcess(...prompts, ...blocks);
    // 1.5 KiB per token: five blocks of 32, one sequence of full length and little more.
    const { answers: tight } = await inProcess(...prompts, ...blocks, '--memory_budget', '250KiB');
    expect(tight.map(({ tokens }) => tokens)).to.deep.equal(room.map(({ tokens }) => tokens));
  });

  it('cuts prompts that are longer than max_prefill_tokens, and answers the same', async () => {
    const prompt = 'Once upon a time there was a little girl. '.repeat(20);
    const prompts = [
      '--input_texts',
      prompt,
      'One day',
      '--max_output_length',
      '12',
      '--max_batch_size',
      '2',
    ];
    const { answers: whole } = await inProcess(...prompts);
    expect(whole[0]?.promptTokens).to.be.above(100);
    const { answers: cut } = await inProcess(...prompts, '--max_prefill_tokens', '8');
    expect(cut).to.deep.equal(whole);
  });

  it('prints its flags on a screen', () => {
    const { status, stdout } = runPa('--help');
    expect(status).to.equal(0);
    expect(stdout).to.include('--max_prefill_tokens').and.to.include('Example:');
  });

  /** Refused where flags are read, where the model is loaded, where it is asked, and before any of it. */
  const REFUSED_AS_COMMANDS = [
    'a folder that does not exist',
    'an unknown option',
    'a prompt beyond max_input_length',
    'a file that it could not write in the end',
  ];

  for (const [what, args, message] of [
    ['a folder that does not exist', ['--model_path', '/nowhere'], /CONFIG_INVALID.*\/nowhere/],
    [
      'an unknown option',
      ['--model_path', MODEL, '--max_batch', '2'],
      /OPTION_UNKNOWN.*--max_batch; nearest: --max_batch_size/,
    ],
    ['tensor parallelism', ['--model_path', MODEL, '--tp', '2'], /OPTION_UNSUPPORTED: --tp=2/],
    [
      'an adapter that is not there',
      ['--model_path', MODEL, '--lora_modules', '{"a":"b"}'],
      /CONFIG_INVALID: b\/adapter_config\.json: is missing/,
    ],
    [
      'remote code',
      ['--model_path', MODEL, '--trust_remote_code'],
      /OPTION_UNSUPPORTED: --trust_remote_code/,
    ],
    [
      'a prompt beyond max_input_length',
      ['--model_path', MODEL, '--max_input_length', '3', '--input_texts', 'Once upon a time there was'],
      /max_input_length \(3\)/,
    ],
    [
      'a prompt that the cache can never hold',
      [
        '--model_path',
        MODEL,
        '--memory_budget',
        '60KiB',
        '--block_size',
        '32',
        '--input_texts',
        'Once',
        '--max_output_length',
        '200',
      ],
      /REQUEST_TOO_LONG/,
    ],
    ['a budget below one block', ['--model_path', MODEL, '--memory_budget', '1KiB'], /CACHE_TOO_SMALL/],
    ['an unknown ISA', ['--model_path', MODEL, '--isa', 'mmx'], /NATIVE_ISA_UNSUPPORTED.*amx|avx|reference/],
    ['a token id beyond the vocabulary', ['--model_path', MODEL, '--input_ids', '0,99999'], /99999/],
    [
      'a file that it could not write in the end',
      ['--model_path', MODEL, '--profile', '/nowhere/trace.json'],
      /OUTPUT_UNWRITABLE: --profile: "\/nowhere\/trace.json" cannot be written/,
    ],
    ['a temperature below 0', ['--model_path', MODEL, '--temperature=-1'], /temperature/],
  ] as const) {
    it(`refuses ${what} in one line`, async () => {
      if (REFUSED_AS_COMMANDS.includes(what)) {
        const { status, stdout, stderr } = runPa(...args);
        expect(status).to.equal(1);
        expect(stdout).to.equal('');
        expect(stderr.trim())
          .to.match(message)
          .and.to.not.match(/\n\s+at /);
        return;
      }
      const problem = await inProcess(...args.slice(2)).then(String, (error: unknown) =>
        error instanceof AtbError ? inFlags(error) : String(error),
      );
      expect(problem).to.match(message).and.to.not.include('\n');
    });
  }
});
