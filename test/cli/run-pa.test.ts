import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { parseBytes } from '../../src/bytes.js';
import { SAMPLING_FLAGS } from '../../src/cli/flags.js';
import { ORIGINAL_FLAGS } from '../../src/cli/original-flags.js';
import { parseRunPaArguments, RUN_PA_FLAGS, type RunPaArguments, runPaHelp } from '../../src/cli/run-pa.js';
import type { ErrorCode } from '../../src/errors.js';
import { resolveSamplingParams } from '../../src/sampling/sampling-params.js';
import { failure } from '../weights/safetensors-writer.js';

async function parse(...args: string[]): Promise<RunPaArguments> {
  const found = await parseRunPaArguments(['node', 'run-pa', '--model_path', 'x', ...args]);
  if (typeof found === 'string') throw new Error('--help was not asked for');
  return found;
}

const refused = async (code: ErrorCode, ...args: string[]): Promise<string> =>
  (await failure(code, () => parse(...args))).message;

describe("run-pa's command line", () => {
  it('leaves the defaults of limits to the library', async () => {
    const { runner, inputs, sampling } = await parse();
    expect(runner).to.deep.equal({ modelPath: 'x', profile: false });
    expect(inputs).to.deep.equal({ kind: 'texts', prompts: ["What's deep learning?"] });
    // What generation_config.json presets holds where the command line says nothing.
    expect(sampling).to.deep.equal({ ignoreEos: false });
  });

  it('makes every sampling flag a field of the request', async () => {
    const args = ['--json', '--temperature', '0.5', '--top_k', '4', '--top-p', '0.9', '--min_p', '0.1'];
    const penalties = [
      '--repetition_penalty',
      '1.1',
      '--frequency_penalty',
      '0.2',
      '--presence_penalty=-0.3',
    ];
    const others = ['--seed', '7', '--logprobs', '2', '--ignore_eos', '--stop', 'a', 'b'];
    const { sampling } = await parse(...args, ...penalties, ...others);
    expect(sampling).to.deep.equal({
      temperature: 0.5,
      topK: 4,
      topP: 0.9,
      minP: 0.1,
      repetitionPenalty: 1.1,
      frequencyPenalty: 0.2,
      presencePenalty: -0.3,
      seed: 7,
      logprobs: 2,
      ignoreEos: true,
      stop: ['a', 'b'],
    });
    expect(Object.keys(sampling)).to.have.length(SAMPLING_FLAGS.length);
    expect(resolveSamplingParams(sampling, { vocabSize: 10 })).to.deep.include(sampling);
  });

  it('takes texts that begin with dashes for texts', async () => {
    const { inputs } = await parse(
      '--input-texts',
      '-5 apples',
      'a',
      '- b',
      '--what is this?',
      '---',
      '-7',
      'c',
    );
    const prompts = ['-5 apples', 'a', '- b', '--what is this?', '---', '-7', 'c'];
    expect(inputs).to.deep.equal({ kind: 'texts', prompts });
    const { sampling, runner } = await parse('--stop', '-', '--input_texts=-h', '--max_prefill_tokens', '-1');
    expect(sampling.stop).to.deep.equal(['-']);
    expect(runner).to.not.have.property('maxPrefillTokens');
    expect(await refused('OPTION_UNKNOWN', '--input_texts', 'a', '--tempratur=1')).to.contain(
      '--temperature',
    );
  });

  it('hands variables to the chat template, thinking by a flag of its own', async () => {
    const chat = async (...args: string[]) => (await parse('--is_chat_model', ...args)).chatTemplateKwargs;
    expect(await chat()).to.equal(undefined);
    expect(await chat('--enable_thinking')).to.deep.equal({ enable_thinking: true });
    for (const off of ['--no-enable_thinking', '--no-enable-thinking', '--no_enable_thinking'])
      expect(await chat(off), off).to.deep.equal({ enable_thinking: false });
    expect(await chat('--enable_thinking=false', '--chat_template_kwargs', '{"a": 1}')).to.deep.equal({
      a: 1,
      enable_thinking: false,
    });
    const kwargs = ['--is_chat_model', '--chat_template_kwargs', '{"enable_thinking": true}'];
    expect(await refused('REQUEST_INVALID', ...kwargs, '--no-enable_thinking')).to.contain(
      '--enable_thinking',
    );
    expect(await refused('REQUEST_INVALID', '--enable_thinking')).to.contain('--is_chat_model');
    const twice = ['--enable_thinking', '--no-enable_thinking'];
    expect(await refused('REQUEST_INVALID', '--is_chat_model', ...twice)).to.contain('given once');
    expect(await refused('OPTION_UNKNOWN', '--no-seed')).to.contain('--');
  });

  it('takes each flag once, but for lists', async () => {
    for (const args of [
      ['--max_output_length', '6', '--max-output-length', '0'],
      ['--seed=1', '--seed=1'],
      ['--dtype', 'f32', '--dtype', 'bf16'],
    ])
      expect(await refused('REQUEST_INVALID', ...args)).to.match(/--\w+ must be given once/);
    const { inputs } = await parse('--input_texts', 'a', '--input_texts', 'b');
    expect(inputs).to.deep.equal({ kind: 'texts', prompts: ['a', 'b'] });
  });

  it('makes the others options of the runner', async () => {
    const { runner } = await parse(
      ...[
        '--max_batch_size',
        '3',
        '--max_prefill_tokens',
        '-1',
        '--memory_budget',
        '2KiB',
        '--passes',
        'a,b',
      ],
      ...[
        '--load_tokenizer',
        'False',
        '--quantize',
        'w4a16',
        '--quant-group-size',
        '32',
        '--kv_quant',
        'int8',
      ],
      ...['--is_chat_model', '--chat_template', '{{ messages }}', '--model_dirs', 'm', 'n', '--dtype', 'f16'],
    );
    expect(runner).to.deep.equal({
      modelPath: 'x',
      modelDirs: ['m', 'n'],
      dtype: 'f16',
      quantize: 'w4a16',
      quantGroupSize: 32,
      kvQuant: 'int8',
      loadTokenizer: false,
      chatTemplate: '{{ messages }}',
      maxBatchSize: 3,
      cacheBytes: 2048,
      passes: ['a', 'b'],
      profile: false,
    });
  });

  it('hands on every flag that the runner has an option for, and no other', async () => {
    const given: Readonly<Record<string, readonly [string, unknown, ...string[]]>> = {
      modelDirs: ['model_dirs', ['m', 'n'], 'm', 'n'],
      allowUnread: ['allow_unread', true],
      allowLinks: ['allow_links', true],
      dtype: ['dtype', 'f32', 'f32'],
      quantize: ['quantize', 'w8a8_dynamic', 'w8a8_dynamic'],
      quantGroupSize: ['quant_group_size', 128, '128'],
      quantizeHead: ['quantize_head', 'w4a16', 'w4a16'],
      kvQuant: ['kv_quant', 'int8', 'int8'],
      maxPositionEmbeddings: ['max_position_embeddings', 77, '77'],
      loadTokenizer: ['load_tokenizer', false, 'False'],
      maxBatchSize: ['max_batch_size', 3, '3'],
      maxInputLength: ['max_input_length', 5, '5'],
      maxOutputLength: ['max_output_length', 6, '6'],
      maxPrefillBatchSize: ['max_prefill_batch_size', 2, '2'],
      maxPrefillTokens: ['max_prefill_tokens', 9, '9'],
      blockSize: ['block_size', 32, '32'],
      cacheBytes: ['memory_budget', 4096, '4KiB'],
      threads: ['threads', 1, '1'],
      isa: ['isa', 'reference', 'reference'],
      passes: ['passes', 'none', 'none'],
    };
    const all = Object.entries(given).map(([option, [flag, value, ...words]]) => ({
      option,
      flag,
      value,
      words,
    }));
    for (const { option, flag, value, words } of all) {
      const { runner } = await parse(`--${flag}`, ...words);
      expect(runner, flag).to.deep.equal({ modelPath: 'x', profile: false, [option]: value });
    }
    const { runner } = await parse(...all.flatMap(({ flag, words }) => [`--${flag}`, ...words]));
    expect(runner).to.deep.equal({
      modelPath: 'x',
      profile: false,
      ...Object.fromEntries(all.map(({ option, value }) => [option, value])),
    });
    expect((await parse('--profile', join(tmpdir(), 'trace.json'))).runner.profile).to.equal(true);
  });

  it('names the nearest flag of one that does not exist', async () => {
    const misspelt = { max_batch: 'max_batch_size', temprature: 'temperature', 'quantise=w8a16': 'quantize' };
    for (const [written, meant] of Object.entries(misspelt))
      expect(await refused('OPTION_UNKNOWN', `--${written}`, '2')).to.contain(`nearest: --${meant};`);
    expect(await refused('OPTION_UNKNOWN', '--xyzzy', '2'))
      .to.contain('--xyzzy')
      .and.not.to.contain('nearest');
    expect(await refused('REQUEST_INVALID', 'stray')).to.contain('stray');
    const missing = await failure('REQUEST_INVALID', () => parseRunPaArguments(['node', 'run-pa']));
    expect(missing.message).to.contain('--model_path must be given');
  });

  it('refuses values by the name of their flag, before any model is read', async () => {
    for (const [flag, value] of [
      ['dtype', 'f64'],
      ['quantize', 'w2a16'],
      ['quant_group_size', '48'],
      ['kv_quant', 'int3'],
      ['load_tokenizer', 'maybe'],
      ['temperature', 'hot'],
      ['max_batch_size', '0'],
      ['max_prefill_tokens', '0'],
      ['threads', '1.5'],
      ['memory_budget', 'much'],
      ['input_ids', '1,x'],
      ['input_dict', '{'],
    ] as const)
      expect(await refused('REQUEST_INVALID', `--${flag}`, value)).to.contain(`--${flag} must be`);
  });

  it('refuses a flag without its value', async () => {
    for (const flag of ['temperature', 'stop', 'input_texts', 'model_dirs', 'perf_csv', 'tp']) {
      expect(await refused('REQUEST_INVALID', `--${flag}`)).to.contain(
        `--${flag} must be followed by a value`,
      );
      await refused('REQUEST_INVALID', `--${flag}`, '--json');
    }
    expect(await refused('REQUEST_INVALID', '--input_dict', '[]')).to.contain('at least one');
  });

  it('says what was written where a number should stand, and refuses what a shell leaves of nothing', async () => {
    expect(await refused('REQUEST_INVALID', '--temperature', 'hot')).to.contain('a number, found "hot"');
    expect(await refused('REQUEST_INVALID', '--seed=1x')).to.contain('a number, found "1x"');
    for (const flag of ['temperature', 'isa', 'model_dirs', 'draft_model_path', 'weights_cache'])
      expect(await refused('REQUEST_INVALID', `--${flag}`, '')).to.match(
        RegExp(`--${flag} must be .*found ""`),
      );
    expect((await parse('--input_texts', '')).inputs).to.deep.equal({ kind: 'texts', prompts: [''] });
    expect(await refused('REQUEST_INVALID', '--max_output_length', '1e12')).to.contain('2147483647');
  });

  it('names the flag that other programs call so', async () => {
    const others = {
      max_new_tokens: 'max_output_length',
      max_tokens: 'max_output_length',
      prompt: 'input_texts',
    };
    for (const [theirs, ours] of Object.entries(others))
      expect(await refused('OPTION_UNKNOWN', `--${theirs}`, '2')).to.contain(`nearest: --${ours};`);
  });

  it('warns of more threads than cores', async () => {
    expect((await parse('--threads', '1')).warnings).to.deep.equal([]);
    expect((await parse('--threads', '1000')).warnings[0]).to.contain('--threads 1000 is more than the');
  });

  it('says which prompts it answers where it is given several kinds', async () => {
    const warnings = async (...flags: string[]) => (await parse(...flags)).warnings;
    expect(await warnings('--input_ids', '1,2')).to.deep.equal([]);
    expect(await warnings('--input_texts', 'a')).to.deep.equal([]);
    expect(await warnings('--input_texts', 'a', '--input_ids', '1,2')).to.deep.equal([
      'only --input_ids is answered: as in the original it goes before --input_texts',
    ]);
    const dict = '[{"prompt": "b", "adapter": "base"}]';
    expect(await warnings('--input_ids', '1', '--input_texts', 'a', '--input_dict', dict)).to.deep.equal([
      'only --input_dict is answered: as in the original it goes before --input_ids and --input_texts',
    ]);
  });

  it('looks at once whether it will be able to write its files', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'atb-outputs-'));
    const good = join(folder, 'new.csv');
    const { perfCsv, profile } = await parse('--perf_csv', good, '--profile', good);
    expect([perfCsv?.path, profile?.path]).to.deep.equal([good, good]);
    expect(existsSync(good)).to.equal(false);
    for (const flag of ['--perf_csv', '--profile'])
      for (const bad of [folder, join(folder, 'absent', 'x'), join('/dev/null', 'x')])
        expect(await refused('OUTPUT_UNWRITABLE', `${flag}=${bad}`)).to.contain(`${flag}: "${bad}"`);
    rmSync(folder, { recursive: true });
  });

  it('says which version it is', async () => {
    expect(await parseRunPaArguments(['node', 'run-pa', '--version'])).to.match(/^\d+\.\d+\.\d+\n$/);
  });

  it('refuses a flag that would have no effect', async () => {
    expect(await refused('REQUEST_INVALID', '--logprobs', '2')).to.contain('together with --json');
    for (const flag of ['--chat_template', '--input_file'])
      expect(await refused('REQUEST_INVALID', flag, 'f')).to.contain('together with --is_chat_model');
  });

  it("takes the original's flags for what is not built, with values that ask for nothing", async () => {
    await parse('--tp', '1', '--dp', '-1', '--max_loras', '0', '--enable_atb_torch');
    for (const [name, { type, allowed }] of Object.entries(ORIGINAL_FLAGS)) {
      if (name === 'enable_atb_torch' || !allowed) continue;
      const args = type === 'boolean' ? [`--${name}`] : [`--${name}`, '2'];
      expect(await refused('OPTION_UNSUPPORTED', ...args)).to.contain(`--${name}=`);
    }
  });

  it('takes more flags as a JSON object, checked like the others', async () => {
    const more = (flags: unknown) => ['--kw_args', typeof flags === 'string' ? flags : JSON.stringify(flags)];
    const { runner, sampling } = await parse(...more({ temperature: 0.5, max_batch_size: 2, stop: ['a'] }));
    expect(runner).to.include({ maxBatchSize: 2 });
    expect(sampling).to.deep.include({ temperature: 0.5, stop: ['a'] });
    for (const wrong of [
      { temperature: 'hot' },
      { dtype: 'f64' },
      { stop: 'a' },
      { json: 'yes' },
      '[1]',
      '{',
    ])
      await refused('REQUEST_INVALID', ...more(wrong));
    expect(await refused('OPTION_UNKNOWN', ...more({ top_q: 1 }))).to.contain('nearest: --top_k');
    await refused('OPTION_UNSUPPORTED', ...more({ tp: 2 }));
    const undeclared = { seed: 3, threads: 1, quantize: 'w8a16', dtype: 'f32', input_texts: ['x'] };
    const taken = await parse(...more(undeclared));
    expect(taken.runner).to.include({ threads: 1, quantize: 'w8a16', dtype: 'f32' });
    expect(taken.sampling).to.include({ seed: 3 });
    expect(taken.inputs).to.deep.equal({ kind: 'texts', prompts: ['x'] });
    for (const name of ['__proto__', 'constructor', 'toString'])
      expect(await refused('OPTION_UNKNOWN', ...more(`{"${name}":1}`))).to.contain(`--${name}`);
    for (const wrong of [
      { input_texts: 'x' },
      { load_tokenizer: true },
      { passes: 3 },
      { seed: null },
      { help: true },
      { kw_args: '' },
      { _: ['x'] },
    ])
      await refused('REQUEST_INVALID', ...more(wrong));
  });

  it('has a help that fits a screen, in groups, with an example', async () => {
    for (const flag of ['--help', '-h'])
      expect(await parseRunPaArguments(['node', 'run-pa', flag])).to.equal(runPaHelp());
    const lines = runPaHelp().split('\n');
    expect(lines.length).to.be.at.most(50);
    for (const line of lines) expect(line.length, line).to.be.at.most(110);
    const text = runPaHelp();
    for (const name of RUN_PA_FLAGS) expect(text).to.match(new RegExp(`(^| ) --${name} `, 'm'));
    for (const name of Object.keys(ORIGINAL_FLAGS)) expect(text).to.contain(name);
    expect(text).to.contain('Example: run-pa --model_path DIR');
  });

  it('reads sizes in bytes, decimal and binary', () => {
    const sizes = { '2GiB': 2 ** 31, '512MB': 512e6, '1000': 1000, '1.5k': 1500, ' 3 KiB ': 3072 };
    for (const [text, bytes] of Object.entries(sizes))
      expect(parseBytes('memory_budget', text)).to.equal(bytes);
  });
});
