import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import type { PAInputs, PARunnerOptions } from '../engine/pa-runner.js';
import { refuseRequest } from '../errors.js';
import type { SamplingOptions } from '../sampling/sampling-params.js';
import {
  type CommandShape,
  declareFlags,
  helpOf,
  optionsOf,
  type Parsed,
  refuseUnknown,
  underscored,
  usageError,
} from './command-line.js';
import { environmentOptions } from './environment.js';
import { type FlagName, GROUPS, groupOf, SAMPLING_FLAGS } from './flags.js';
import { ORIGINAL_FLAGS, refuseUnsupported } from './original-flags.js';
import { INPUT_FLAGS, parseJson, readInputs } from './run-pa-inputs.js';

/** What `run-pa` was asked to do. */
export interface RunPaArguments {
  readonly runner: PARunnerOptions;
  readonly inputs: PAInputs;
  /** Of every prompt. */
  readonly sampling: SamplingOptions;
  readonly isChatModel: boolean;
  readonly chatTemplateKwargs: Readonly<Record<string, unknown>> | undefined;
  readonly stream: boolean;
  readonly json: boolean;
  readonly perfCsv: string | undefined;
  /** Where to write the Chrome trace. */
  readonly profile: string | undefined;
}

const RUNNER_FLAGS = [
  'model_path',
  'model_dirs',
  'allow_unread',
  'allow_links',
  'dtype',
  'quantize',
  'quant_group_size',
  'kv_quant',
  'max_position_embeddings',
  'load_tokenizer',
  'chat_template',
  'max_batch_size',
  'max_input_length',
  'max_output_length',
  'max_prefill_batch_size',
  'max_prefill_tokens',
  'block_size',
  'memory_budget',
  'threads',
  'isa',
  'passes',
] as const satisfies readonly FlagName[];
const COMMAND_FLAGS = [
  'is_chat_model',
  'chat_template_kwargs',
  'stream',
  'json',
  'perf_csv',
  'profile',
  'kw_args',
] as const;
const SHAPE: CommandShape = {
  command: 'run-pa',
  flags: [...RUNNER_FLAGS, ...INPUT_FLAGS, ...SAMPLING_FLAGS, ...COMMAND_FLAGS],
  alsoKnown: Object.keys(ORIGINAL_FLAGS),
};

function toArguments(parsed: Parsed): RunPaArguments {
  refuseUnsupported(parsed);
  const { isChatModel, chatTemplateKwargs, stream, json, perfCsv, profile } = optionsOf(
    parsed,
    COMMAND_FLAGS,
  );
  return {
    runner: {
      ...optionsOf(parsed, RUNNER_FLAGS),
      profile: profile !== undefined,
      ...environmentOptions(),
    },
    inputs: readInputs(optionsOf(parsed, INPUT_FLAGS)),
    sampling: optionsOf(parsed, SAMPLING_FLAGS),
    isChatModel,
    chatTemplateKwargs,
    stream,
    json,
    perfCsv,
    profile,
  };
}

/** What `--kw_args` adds: names of other flags with their values. */
function moreFlags({ kw_args: text }: Parsed): Parsed {
  if (text === undefined || text === '') return {};
  const field = '--kw_args';
  if (typeof text !== 'string' || text.length > 4096)
    return refuseRequest(field, 'at most 4096 characters', text);
  const more = parseJson(field, text);
  if (typeof more !== 'object' || more === null || Array.isArray(more))
    return refuseRequest(field, 'a JSON object', text);
  const flags = { ...more };
  refuseUnknown(flags, SHAPE);
  return flags;
}

/** Its many flags on one screen: groups without empty lines, no types. */
export function runPaHelp(): string {
  const width = Math.max(...SHAPE.flags.map((name) => name.length));
  const lines = GROUPS.flatMap((group) => [
    group,
    ...SHAPE.flags
      .filter((name) => groupOf(name) === group)
      .map((name) => `  --${name.padEnd(width)}  ${helpOf(name)}`),
  ]);
  return [
    'run-pa --model_path DIR [options]',
    ...lines,
    wrapped(['Refused unless they ask for nothing (--tp 1):', ...Object.keys(ORIGINAL_FLAGS)]),
    'Example:\n  run-pa --model_path DIR --input_texts "Once upon a time" --temperature 0.8 --stream\n',
  ].join('\n');
}

/** Words in lines of at most 110 characters, as the other commands' help has. */
const wrapped = (words: readonly string[]): string =>
  words
    .join(' ')
    .replace(/(.{1,110})(?: |$)/g, '$1\n')
    .trimEnd();

/**
 * `run-pa`'s options: the original's under their own names, and ours. Undefined: `--help` is asked for.
 * @throws REQUEST_INVALID for a bad value, OPTION_UNKNOWN, OPTION_UNSUPPORTED for what this engine does not do.
 */
export async function parseRunPaArguments(
  argv: readonly string[] = process.argv,
): Promise<RunPaArguments | undefined> {
  const args = underscored(hideBin([...argv]));
  const parser = declareFlags(yargs(args), SHAPE)
    .options(Object.fromEntries(Object.entries(ORIGINAL_FLAGS).map(([name, { type }]) => [name, { type }])))
    .option('help', { type: 'boolean' })
    .help(false)
    .version(false)
    .exitProcess(false)
    .fail((message, error) => {
      throw usageError(message, error, 'run-pa --help');
    });
  const parsed = await parser.parse();
  if (parsed.help) return undefined;
  const [stray] = parsed._;
  if (stray !== undefined) refuseRequest('the command line', 'made of options only', stray);
  return toArguments({ ...parsed, ...moreFlags(parsed) });
}
