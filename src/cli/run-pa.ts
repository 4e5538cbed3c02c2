import { dirname } from 'node:path';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import type { PARunnerOptions } from '../engine/pa-options.js';
import type { PAInputs } from '../engine/pa-runner.js';
import { refuseRequest } from '../errors.js';
import { isObject } from '../is-object.js';
import type { SamplingOptions } from '../sampling/sampling-params.js';
import {
  type CommandShape,
  declareFlags,
  optionsOf,
  type Parsed,
  refuseUnknown,
  underscored,
  usageError,
  YARGS_KEYS,
} from './command-line.js';
import { environmentOptions, threadWarnings } from './environment.js';
import { type FlagName, SAMPLING_FLAGS } from './flags.js';
import { flagLines } from './long-help.js';
import { checkLoraLimits } from './lora-limits.js';
import { withModelFolder } from './model-folder.js';
import { ORIGINAL_FLAGS, refuseUnsupported } from './original-flags.js';
import { OutputFile } from './output-file.js';
import { INPUT_FLAGS, inputWarnings, parseJson, readInputs } from './run-pa-inputs.js';
import { TEMPLATE_FLAGS, templateVariables } from './template-variables.js';
import { packageVersion } from './version.js';

/** What `run-pa` was asked to do. */
export interface RunPaArguments {
  readonly runner: PARunnerOptions;
  readonly inputs: PAInputs;
  /** Of every prompt. */
  readonly sampling: SamplingOptions;
  readonly isChatModel: boolean;
  /** Vectors of the prompts are wanted, not answers. */
  readonly isEmbeddingModel: boolean;
  readonly chatTemplateKwargs: Readonly<Record<string, unknown>> | undefined;
  readonly stream: boolean;
  readonly json: boolean;
  readonly perfCsv: OutputFile | undefined;
  /** Where to write the Chrome trace. */
  readonly profile: OutputFile | undefined;
  /** What was asked for and will be done, although it is hardly what was meant. */
  readonly warnings: readonly string[];
}

const RUNNER_FLAGS = [
  'model_path',
  'model_dirs',
  'lora_modules',
  'allow_unread',
  'allow_links',
  'dtype',
  'quantize',
  'quantize_head',
  'quant_group_size',
  'kv_quant',
  'weights_cache',
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
  'draft_model_path',
  'draft_tokens',
  'threads',
  'isa',
  'passes',
] as const satisfies readonly FlagName[];
const COMMAND_FLAGS = [
  'is_chat_model',
  'is_embedding_model',
  ...TEMPLATE_FLAGS,
  'stream',
  'json',
  'perf_csv',
  'profile',
  'kw_args',
] as const;
export const RUN_PA_FLAGS: readonly FlagName[] = [
  ...RUNNER_FLAGS,
  ...INPUT_FLAGS,
  ...SAMPLING_FLAGS,
  ...COMMAND_FLAGS,
];
const SHAPE: CommandShape = {
  command: 'run-pa',
  example: '--model_path DIR --input_texts "Once upon a time" --temperature 0.8 --stream',
  flags: RUN_PA_FLAGS,
  alsoKnown: Object.keys(ORIGINAL_FLAGS),
};

function toArguments(parsed: Parsed): RunPaArguments {
  refuseUnsupported(parsed);
  const { isChatModel, isEmbeddingModel, stream, json, perfCsv, profile, ...template } = optionsOf(
    parsed,
    COMMAND_FLAGS,
  );
  const runner = optionsOf(parsed, RUNNER_FLAGS);
  const { file } = optionsOf(parsed, INPUT_FLAGS);
  return {
    runner: {
      ...runner,
      profile: profile !== undefined,
      // Dialogues may name what lies beside them.
      ...(file !== undefined && { allowedLocalMediaPath: dirname(file) }),
      ...environmentOptions(),
    },
    inputs: readInputs(optionsOf(parsed, INPUT_FLAGS)),
    sampling: optionsOf(parsed, SAMPLING_FLAGS),
    isChatModel,
    isEmbeddingModel,
    chatTemplateKwargs: templateVariables(template),
    stream,
    json,
    perfCsv: perfCsv === undefined ? undefined : new OutputFile('--perf_csv', perfCsv),
    profile: profile === undefined ? undefined : new OutputFile('--profile', profile),
    warnings: [...inputWarnings(parsed), ...threadWarnings(runner.threads)],
  };
}

/** What `--kw_args` adds: names of other flags with their values. */
function moreFlags({ kw_args: text }: Parsed): Parsed {
  if (text === undefined || text === '') return {};
  const field = '--kw_args';
  if (typeof text !== 'string' || text.length > 4096)
    return refuseRequest(field, 'at most 4096 characters', text);
  const more = parseJson(field, text);
  if (!isObject(more)) return refuseRequest(field, 'a JSON object', text);
  // Names that ask for text, or for nothing that a second time could give.
  for (const name of [...YARGS_KEYS, 'kw_args'])
    if (Object.hasOwn(more, name)) refuseRequest(field, 'an object of other flags', text);
  refuseUnknown({ ...more }, SHAPE);
  return { ...more };
}

/** Its many flags on one screen, and those of the original that it refuses. */
export function runPaHelp(): string {
  return [
    'run-pa --model_path DIR [options]',
    `Example: ${SHAPE.command} ${SHAPE.example}`,
    ...flagLines(SHAPE),
    'Of the original, refused unless they ask for nothing (--tp 1):',
    wrapped(Object.keys(ORIGINAL_FLAGS)),
    '',
  ].join('\n');
}

/** Words in indented lines. */
function wrapped(words: readonly string[]): string {
  return words
    .join(' ')
    .replace(/(.{1,106})(?: |$)/g, '  $1\n')
    .trimEnd();
}

/**
 * `run-pa`'s options: the original's under their own names, and ours; or the text that `--help` or `--version` asks for.
 * @throws REQUEST_INVALID for a bad value, OPTION_UNKNOWN, OPTION_UNSUPPORTED for what this engine does not do,
 *   OUTPUT_UNWRITABLE for a file that could not be written in the end
 */
export async function parseRunPaArguments(
  argv: readonly string[] = process.argv,
): Promise<RunPaArguments | string> {
  const args = underscored(hideBin([...argv]));
  if (args.includes('--help') || args.includes('-h')) return runPaHelp();
  if (args.includes('--version')) return `${packageVersion()}\n`;
  const parser = declareFlags(yargs(args), SHAPE)
    .options(
      Object.fromEntries(
        Object.entries(ORIGINAL_FLAGS).map(([name, { type }]) => [
          name,
          { type, requiresArg: type !== 'boolean' },
        ]),
      ),
    )
    .help(false)
    .version(false)
    .exitProcess(false)
    .fail((message, error) => {
      throw usageError(message, error, 'run-pa --help');
    });
  const parsed = await parser.parse();
  const [stray] = parsed._;
  if (stray !== undefined) refuseRequest('the command line', 'made of options only', stray);
  const all = { ...parsed, ...moreFlags(parsed) };
  const found = toArguments(all);
  const runner = await withModelFolder(found.runner);
  await checkLoraLimits(all, runner.loraModules, runner.allowLinks);
  return { ...found, runner };
}
