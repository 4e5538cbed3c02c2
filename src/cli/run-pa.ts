import { existsSync, readFileSync, statSync } from 'node:fs';
import yargs, { type Argv } from 'yargs';
import { hideBin } from 'yargs/helpers';
import type { PAInputs, PARunnerOptions } from '../engine/pa-runner.js';
import { AtbError } from '../errors.js';
import { environmentOptions } from './environment.js';
import { underscored } from './flags.js';
import { KV_QUANT_FLAGS, kvQuantOptions, QUANTIZE_FLAGS, quantizeOptions } from './quantize-flags.js';

/** What `run-pa` was asked to do. */
export interface RunPaArguments {
  readonly runner: PARunnerOptions;
  readonly inputs: PAInputs;
  readonly maxOutputLength: number;
  readonly ignoreEos: boolean;
  readonly isChatModel: boolean;
  readonly stream: boolean;
  readonly json: boolean;
  readonly perfCsv: string | undefined;
  /** Where to write the Chrome trace. */
  readonly profile: string | undefined;
}

/** Parallel groups of the original, which this engine replaces by threads of one process. */
const onlyOne = { type: 'number', default: -1, describe: 'only -1 or 1: one process' } as const;
const SINGLE_PROCESS = {
  dp: onlyOne,
  tp: onlyOne,
  moe_tp: onlyOne,
  pp: onlyOne,
  microbatch_size: onlyOne,
  moe_ep: onlyOne,
  sp: onlyOne,
  cp: onlyOne,
} as const;

function declareOptions(argv: Argv) {
  return argv
    .parserConfiguration({ 'camel-case-expansion': false, 'strip-dashed': true, 'greedy-arrays': true })
    .option('model_path', {
      type: 'string',
      demandOption: true,
      describe: 'directory of a Hugging Face checkpoint',
    })
    .option('input_texts', {
      type: 'string',
      array: true,
      default: ["What's deep learning?"],
      describe: 'prompts; a path of a file is read whole',
    })
    .option('input_ids', { type: 'string', array: true, describe: 'prompts as comma-separated token ids' })
    .option('input_file', {
      type: 'string',
      describe: 'JSON lines of dialogues [{"role","content"}] (with --is_chat_model)',
    })
    .option('input_dict', { type: 'string', describe: 'JSON [{"prompt","adapter"}]' })
    .option('max_prefill_batch_size', {
      type: 'number',
      describe: 'prompts of one prefill step (max_batch_size)',
    })
    .option('max_batch_size', {
      type: 'number',
      default: 1,
      describe: 'sequences that run at once; copies of a single prompt',
    })
    .option('max_input_length', { type: 'number', default: 1024, describe: 'longest prompt, in tokens' })
    .option('max_output_length', { type: 'number', default: 20, describe: 'most tokens to generate' })
    .option('max_position_embeddings', { type: 'number', describe: "override of the model's context length" })
    .option('max_prefill_tokens', {
      type: 'number',
      default: -1,
      describe: 'tokens of one prefill step; -1: batch * (input + output)',
    })
    .option('block_size', {
      type: 'number',
      default: 128,
      describe: 'tokens of a KV cache block, a multiple of 32',
    })
    .option('chat_template', { type: 'string', describe: 'Jinja chat template: a file or the text itself' })
    .option('ignore_eos', {
      type: 'boolean',
      default: false,
      describe: 'generate max_output_length tokens whatever comes',
    })
    .option('is_chat_model', {
      type: 'boolean',
      default: false,
      describe: 'put prompts through the chat template',
    })
    .option('is_embedding_model', { type: 'boolean', default: false, describe: 'not built' })
    .option('load_tokenizer', {
      type: 'string',
      default: 'True',
      choices: ['True', 'False', 'true', 'false'],
      describe: 'False: token ids in, token ids out',
    })
    .option('enable_atb_torch', {
      type: 'boolean',
      default: false,
      describe: 'the graph that this engine always builds',
    })
    .option('trust_remote_code', {
      type: 'boolean',
      default: false,
      describe: 'refused: no code of a checkpoint is ever run',
    })
    .option('distributed_enable', { type: 'boolean', default: false, describe: 'refused: one process' })
    .options(SINGLE_PROCESS)
    .option('kw_args', { type: 'string', default: '', describe: 'more options as a JSON object' })
    .option('lora_modules', { type: 'string', describe: 'not built' })
    .option('max_loras', { type: 'number', default: 0, describe: 'not built' })
    .option('max_lora_rank', { type: 'number', default: 0, describe: 'not built' })
    .option('temperature', { type: 'number', default: 0, describe: '0: greedy' })
    .option('top_k', { type: 'number', default: 0, describe: '0: all' })
    .option('top_p', { type: 'number', default: 1 })
    .option('min_p', { type: 'number', default: 0 })
    .option('repetition_penalty', { type: 'number', default: 1 })
    .option('frequency_penalty', { type: 'number', default: 0 })
    .option('presence_penalty', { type: 'number', default: 0 })
    .option('seed', { type: 'number', describe: 'seed of the random draws; prompt i uses seed + i' })
    .option('logprobs', {
      type: 'number',
      describe: 'log-probs of each token and of this many best (with --json)',
    })
    .option('stop', { type: 'string', array: true, describe: 'strings that end an answer' })
    .option('stream', { type: 'boolean', default: false, describe: 'print text as it comes' })
    .option('json', { type: 'boolean', default: false, describe: 'one JSON object instead of text' })
    .option('perf_csv', {
      type: 'string',
      describe: "append one row of the original's benchmark columns to this file",
    })
    .option('profile', {
      type: 'string',
      describe: 'time each operation, print a table, write a Chrome trace to this file',
    })
    .option('threads', { type: 'number', describe: 'compute threads (all cores)' })
    .option('isa', { type: 'string', describe: 'kernel table: amx, avx512, avx2, reference (the best)' })
    .option('dtype', {
      type: 'string',
      choices: ['bf16', 'f16', 'f32'],
      describe: "override of the checkpoint's dtype",
    })
    .options(QUANTIZE_FLAGS)
    .options(KV_QUANT_FLAGS)
    .option('memory_budget', { type: 'string', describe: 'bytes for the KV cache, e.g. 2GiB' })
    .option('model_dirs', {
      type: 'string',
      array: true,
      describe: 'folders with model directories of your own',
    })
    .option('passes', {
      type: 'string',
      default: 'all',
      describe: 'graph passes: all, none, or names joined by commas',
    });
}

type Flags = Awaited<ReturnType<ReturnType<typeof declareOptions>['parse']>>;

function unsupported(option: string, found: unknown, reason: string): never {
  throw new AtbError('OPTION_UNSUPPORTED', { option: `--${option}`, found, reason });
}

function invalid(field: string, expected: string, found: unknown): never {
  throw new AtbError('REQUEST_INVALID', { field: `--${field}`, expected, found });
}

function refuseUnsupported(flags: Flags): void {
  for (const name of Object.keys(SINGLE_PROCESS) as (keyof typeof SINGLE_PROCESS)[]) {
    const found = flags[name];
    if (found !== -1 && found !== 1)
      unsupported(name, found, 'the engine is one process that uses all cores; only -1 or 1');
  }
  if (flags.is_embedding_model) unsupported('is_embedding_model', true, 'embedding models are not built yet');
  if (flags.trust_remote_code)
    unsupported(
      'trust_remote_code',
      true,
      'code of a checkpoint is never run; register a model directory instead',
    );
  if (flags.distributed_enable) unsupported('distributed_enable', true, 'the engine is one process');
  if (flags.lora_modules !== undefined)
    unsupported('lora_modules', flags.lora_modules, 'LoRA adapters are not built yet');
  if (flags.max_loras !== 0) unsupported('max_loras', flags.max_loras, 'LoRA adapters are not built yet');
  if (flags.max_lora_rank !== 0)
    unsupported('max_lora_rank', flags.max_lora_rank, 'LoRA adapters are not built yet');
}

function parseJson(option: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return invalid(option, 'valid JSON', text);
  }
}

function readDialogues(file: string): PAInputs {
  if (!existsSync(file)) invalid('input_file', 'an existing file', file);
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '');
  const dialogues = lines.map((line, i) => {
    const value = parseJson('input_file', line);
    const isMessage = (m: unknown): m is { role: string; content: string } =>
      typeof m === 'object' &&
      m !== null &&
      typeof (m as { role?: unknown }).role === 'string' &&
      typeof (m as { content?: unknown }).content === 'string';
    if (!Array.isArray(value) || !value.every(isMessage))
      invalid('input_file', `a list of {"role","content"} in line ${i + 1}`, line);
    return value as { role: string; content: string }[];
  });
  return { kind: 'dialogues', dialogues };
}

function readIds(lists: readonly string[]): PAInputs {
  const prompts = lists.map((list) =>
    Int32Array.from(list.split(','), (part) =>
      /^\s*\d{1,9}\s*$/.test(part) ? Number(part) : invalid('input_ids', 'token ids joined by commas', list),
    ),
  );
  return { kind: 'tokens', prompts };
}

function readDict(text: string): PAInputs {
  const entries = parseJson('input_dict', text);
  if (!Array.isArray(entries)) invalid('input_dict', 'a list of {"prompt","adapter"}', text);
  const prompts = (entries as unknown[]).map((entry) => {
    const { prompt, adapter } = (entry ?? {}) as { prompt?: unknown; adapter?: unknown };
    if (typeof prompt !== 'string') return invalid('input_dict', 'a string "prompt" in each entry', entry);
    if (adapter !== undefined && adapter !== 'base')
      unsupported('input_dict', adapter, 'LoRA adapters are not built yet; only "base"');
    return prompt;
  });
  return { kind: 'texts', prompts };
}

const isFile = (path: string) => path.length < 4096 && existsSync(path) && statSync(path).isFile();

/** The original's precedence: dialogues of a chat model, then input_dict, input_ids, input_texts. */
function readInputs(flags: Flags): PAInputs {
  if (flags.input_file !== undefined) {
    if (!flags.is_chat_model) invalid('input_file', 'used together with --is_chat_model', flags.input_file);
    return readDialogues(flags.input_file);
  }
  if (flags.input_dict !== undefined) return readDict(flags.input_dict);
  if (flags.input_ids !== undefined) return readIds(flags.input_ids);
  if (flags.input_texts.length === 0) invalid('input_texts', 'at least one prompt', flags.input_texts);
  return {
    kind: 'texts',
    prompts: flags.input_texts.map((text) => (isFile(text) ? readFileSync(text, 'utf8') : text)),
  };
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
};

/** "2GiB", "512MB", "1000000" → bytes. */
export function parseBytes(option: string, text: string): number {
  const [, amount, unit = ''] = /^\s*(\d+(?:\.\d+)?)\s*([kmg]i?)?b?\s*$/i.exec(text) ?? [];
  if (amount === undefined) return invalid(option, 'bytes such as 2GiB or 512MB', text);
  return Math.floor(Number(amount) * (UNITS[unit.toLowerCase()] as number));
}

function count(option: string, value: number | undefined, min: number): number {
  if (value === undefined || !Number.isSafeInteger(value) || value < min)
    return invalid(option, `an integer >= ${min}`, value);
  return value;
}

function toArguments(flags: Flags): RunPaArguments {
  refuseUnsupported(flags);
  const maxBatchSize = count('max_batch_size', flags.max_batch_size, 1);
  const maxInputLength = count('max_input_length', flags.max_input_length, 1);
  const maxOutputLength = count('max_output_length', flags.max_output_length, 1);
  const optional = <K extends string, V>(key: K, value: V | undefined) =>
    (value === undefined ? {} : { [key]: value }) as { [P in K]?: V };
  return {
    runner: {
      modelPath: flags.model_path,
      maxBatchSize,
      maxInputLength,
      maxOutputLength,
      maxPrefillBatchSize:
        flags.max_prefill_batch_size === undefined
          ? maxBatchSize
          : count('max_prefill_batch_size', flags.max_prefill_batch_size, 1),
      maxPrefillTokens:
        flags.max_prefill_tokens === -1
          ? maxBatchSize * (maxInputLength + maxOutputLength)
          : count('max_prefill_tokens', flags.max_prefill_tokens, 1),
      blockSize: count('block_size', flags.block_size, 32),
      loadTokenizer: flags.load_tokenizer.toLowerCase() === 'true',
      modelDirs: flags.model_dirs ?? [],
      profile: flags.profile !== undefined,
      passes: flags.passes === 'all' || flags.passes === 'none' ? flags.passes : flags.passes.split(','),
      sampling: {
        temperature: flags.temperature,
        topK: flags.top_k,
        topP: flags.top_p,
        minP: flags.min_p,
        repetitionPenalty: flags.repetition_penalty,
        frequencyPenalty: flags.frequency_penalty,
        presencePenalty: flags.presence_penalty,
        ...optional('seed', flags.seed),
        ...optional('logprobs', flags.logprobs),
        ...optional('stop', flags.stop),
      },
      ...optional('maxPositionEmbeddings', flags.max_position_embeddings),
      ...optional('chatTemplate', flags.chat_template),
      ...optional('threads', flags.threads === undefined ? undefined : count('threads', flags.threads, 1)),
      ...optional('isa', flags.isa),
      ...optional('dtype', flags.dtype as 'bf16' | 'f16' | 'f32' | undefined),
      ...quantizeOptions(flags),
      ...kvQuantOptions(flags),
      ...optional(
        'cacheBytes',
        flags.memory_budget === undefined ? undefined : parseBytes('memory_budget', flags.memory_budget),
      ),
      ...environmentOptions(),
    },
    inputs: readInputs(flags),
    maxOutputLength,
    ignoreEos: flags.ignore_eos,
    isChatModel: flags.is_chat_model,
    stream: flags.stream,
    json: flags.json,
    perfCsv: flags.perf_csv,
    profile: flags.profile,
  };
}

/**
 * `run-pa`'s options: the original's under their own names, and ours.
 * @throws REQUEST_INVALID for a bad value, OPTION_UNSUPPORTED for what this engine does not do.
 */
export async function parseRunPaArguments(argv: readonly string[] = process.argv): Promise<RunPaArguments> {
  const args = underscored(hideBin([...argv]));
  const parser = declareOptions(yargs(args).scriptName('run-pa').usage('$0 --model_path DIR [options]'))
    .strict()
    .wrap(110)
    .version(false)
    .help();
  parser.fail((message, error) => {
    throw (
      error ??
      new AtbError('REQUEST_INVALID', {
        field: 'the command line',
        expected: 'options as `run-pa --help` lists them',
        found: message,
      })
    );
  });
  const flags = await parser.parse();
  if (flags.kw_args === '') return toArguments(flags);
  if (flags.kw_args.length > 4096) invalid('kw_args', 'at most 4096 characters', flags.kw_args);
  const more = parseJson('kw_args', flags.kw_args);
  if (typeof more !== 'object' || more === null || Array.isArray(more))
    return invalid('kw_args', 'a JSON object', flags.kw_args);
  for (const name of Object.keys(more))
    if (!(name in flags)) invalid('kw_args', 'names of other options', name);
  return toArguments({ ...flags, ...more });
}
