import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import type { PAInputs, PARunnerOptions } from '../engine/pa-runner.js';
import { refuseRequest } from '../errors.js';
import type { SamplingOptions } from '../sampling/sampling-params.js';
import {
  declareFlags,
  optionsOf,
  type Parsed,
  refuseUnknown,
  underscored,
  usageError,
} from './command-line.js';
import { environmentOptions } from './environment.js';
import { type FlagName, SAMPLING_FLAGS } from './flags.js';
import { ORIGINAL_FLAGS, refuseUnsupported } from './original-flags.js';
import { INPUT_FLAGS, parseJson, readInputs } from './run-pa-inputs.js';

/** What `run-pa` was asked to do. */
export interface RunPaArguments {
  readonly runner: PARunnerOptions;
  readonly inputs: PAInputs;
  /** Of every prompt. */
  readonly sampling: SamplingOptions;
  readonly isChatModel: boolean;
  readonly stream: boolean;
  readonly json: boolean;
  readonly perfCsv: string | undefined;
  /** Where to write the Chrome trace. */
  readonly profile: string | undefined;
}

const RUNNER_FLAGS = [
  'model_path',
  'model_dirs',
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
const COMMAND_FLAGS = ['is_chat_model', 'stream', 'json', 'perf_csv', 'profile', 'kw_args'] as const;
const ALL_FLAGS = [...RUNNER_FLAGS, ...INPUT_FLAGS, ...SAMPLING_FLAGS, ...COMMAND_FLAGS];

function toArguments(parsed: Parsed): RunPaArguments {
  refuseUnsupported(parsed);
  const { isChatModel, stream, json, perfCsv, profile } = optionsOf(parsed, COMMAND_FLAGS);
  return {
    runner: {
      ...optionsOf(parsed, RUNNER_FLAGS),
      profile: profile !== undefined,
      ...environmentOptions(),
    },
    inputs: readInputs(optionsOf(parsed, INPUT_FLAGS)),
    sampling: optionsOf(parsed, SAMPLING_FLAGS),
    isChatModel,
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
  refuseUnknown(flags, [...ALL_FLAGS, ...Object.keys(ORIGINAL_FLAGS)]);
  return flags;
}

const EPILOGUE =
  `Example: run-pa --model_path DIR --input_texts "Once upon a time" --temperature 0.8 --stream\n` +
  `Of the original, refused unless they ask for nothing: --${Object.keys(ORIGINAL_FLAGS).join(', --')}`;

/**
 * `run-pa`'s options: the original's under their own names, and ours.
 * @throws REQUEST_INVALID for a bad value or name, OPTION_UNSUPPORTED for what this engine does not do.
 */
export async function parseRunPaArguments(argv: readonly string[] = process.argv): Promise<RunPaArguments> {
  const args = underscored(hideBin([...argv]));
  const original = Object.entries(ORIGINAL_FLAGS).map(
    ([name, { type }]) => [name, { type, hidden: true }] as const,
  );
  const parser = declareFlags(yargs(args), ALL_FLAGS, { alsoKnown: Object.keys(ORIGINAL_FLAGS) })
    .options(Object.fromEntries(original))
    .scriptName('run-pa')
    .usage('$0 --model_path DIR [options]')
    .epilogue(EPILOGUE)
    .locale('en')
    .wrap(110)
    .version(false)
    .help()
    .fail((message, error) => {
      throw usageError(message, error, 'run-pa --help');
    });
  const parsed: Parsed = await parser.parse();
  return toArguments({ ...parsed, ...moreFlags(parsed) });
}
