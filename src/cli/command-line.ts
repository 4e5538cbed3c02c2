import { homedir } from 'node:os';
import type { Argv, Options } from 'yargs';
import { AtbError, refuseRequest } from '../errors.js';
import { nearestName } from '../nearest-name.js';
import { FLAGS, type Flag, type FlagName, groupOf } from './flags.js';

/** The type of a flag's value as it is written. */
type Given<F extends Flag> = F extends { readonly choices: readonly (infer C)[] }
  ? C
  : F extends { readonly array: true }
    ? readonly string[]
    : { string: string; number: number; boolean: boolean }[F['type']];
/** The type of the option that it becomes. */
type Value<F extends Flag> = F extends { readonly read: (value: never, name: string) => infer V }
  ? Exclude<V, undefined>
  : Given<F>;
type Always<N extends FlagName> = {
  [K in N]: (typeof FLAGS)[K] extends { readonly required: true } | { readonly default: unknown } ? K : never;
}[N];

/** What flags become: options under their names in the library, absent where nothing was said. */
export type OptionsOf<N extends FlagName> = {
  readonly [K in Always<N> as (typeof FLAGS)[K]['option']]: Value<(typeof FLAGS)[K]>;
} & { readonly [K in Exclude<N, Always<N>> as (typeof FLAGS)[K]['option']]?: Value<(typeof FLAGS)[K]> };

/** Values by the names of flags, as yargs reads them. */
export type Parsed = Readonly<Record<string, unknown>>;

/** A flag, with its value or without. Whatever else begins with two dashes is a text, as `--what is this`. */
const FLAG = /^--([a-z][a-z0-9_-]*)(?:=|$)/;

/**
 * Arguments as yargs takes them. Underscore names are the original's; the same names with dashes are accepted too. A text
 * that begins with a dash belongs to the list flag before it: `--input_texts "- a list"`.
 * @throws REQUEST_INVALID for a flag that is given twice and takes one value, of which yargs makes a list or a sum, and for
 *   what is no number where one must stand, of which it makes NaN, or 0 of nothing
 */
export function underscored(given: readonly string[]): string[] {
  const args = withHome(given);
  const result: string[] = [];
  const seen = new Set<string>();
  let list = '';
  for (const [index, arg] of args.entries()) {
    const [flagged, name = ''] = FLAG.exec(arg) ?? [];
    if (flagged !== undefined) {
      const said = name.replaceAll('-', '_');
      const isNegated = isNegation(said);
      const flag = isNegated ? said.slice('no_'.length) : said;
      list = takesTexts(flag) ? flag : '';
      if (seen.has(flag) && !isList(flag)) refuseRequest(`--${flag}`, 'given once', 'twice');
      seen.add(flag);
      checkNumber(flag, arg === flagged ? args[index + 1] : arg.slice(flagged.length));
      // The only dash that yargs itself gives a meaning.
      result.push(`--${isNegated ? 'no-' : ''}${flag}${arg.slice(name.length + 2)}`);
    } else if (list !== '' && arg.startsWith('-') && arg !== '--') {
      // yargs takes no value for a list that is named and then named again.
      if (result.at(-1) === `--${list}`) result.pop();
      result.push(`--${list}=${arg}`);
    } else result.push(arg);
  }
  return result;
}

/** Flags whose values are files or folders, or may be. */
const PATHS: ReadonlySet<string> = new Set<FlagName>([
  ...(['model_path', 'draft_model_path', 'model_dirs', 'weights_cache', 'allowed_local_media_path'] as const),
  ...(['calibrate', 'input_file', 'image', 'text', 'chat_template', 'json_schema', 'grammar'] as const),
  ...(['reference', 'output', 'perf_csv', 'profile', 'svg'] as const),
]);

/** Shells make a folder of "~" where a word begins with it, not in `--flag=~/x`, and units of systemd have no shell. */
function withHome(args: readonly string[]): string[] {
  const isPath = (flag: string | undefined): boolean =>
    PATHS.has((FLAG.exec(flag ?? '')?.[1] ?? '').replaceAll('-', '_'));
  return args.map((arg, index) => {
    const value = isPath(arg) ? arg.slice(arg.indexOf('=') + 1) : isPath(args[index - 1]) ? arg : '';
    if (!/^~(?=[\\/]|$)/.test(value)) return arg;
    return `${arg.slice(0, arg.length - value.length)}${homedir()}${value.slice(1)}`;
  });
}

/** `value`: what stands behind the flag; undefined where nothing does, and a flag where its value is missing. */
function checkNumber(name: string, value: string | undefined): void {
  if (flagOf(name)?.type !== 'number' || value === undefined || FLAG.test(value)) return;
  if (value.trim() === '' || !Number.isFinite(Number(value))) refuseRequest(`--${name}`, 'a number', value);
}

const flagOf = (name: string): Flag | undefined =>
  Object.hasOwn(FLAGS, name) ? FLAGS[name as FlagName] : undefined;
const isList = (name: string): boolean => flagOf(name)?.array === true;
/** `no_stream`: the opposite of a flag that is true or false. */
const isNegation = (name: string): boolean =>
  name.startsWith('no_') && flagOf(name.slice('no_'.length))?.type === 'boolean';
const takesTexts = (name: string): boolean => isList(name) && flagOf(name)?.type === 'string';

export interface CommandShape {
  /** The command whose `--help` lists its flags. */
  readonly command: string;
  /** Arguments with which it does something useful. */
  readonly example: string;
  readonly flags: readonly FlagName[];
  /** Names beside the table's: of positional arguments, of flags that the command declares by itself. */
  readonly alsoKnown?: readonly string[];
  /** Flags that this command cannot do without, beside those that none can. */
  readonly required?: readonly FlagName[];
}

/** Makes yargs know a command's flags; what else is written, and what is missing, is refused by name. */
export function declareFlags<T>(argv: Argv<T>, shape: CommandShape): Argv<T> {
  argv
    .parserConfiguration({
      ...{ 'camel-case-expansion': false, 'strip-dashed': true, 'greedy-arrays': true },
      'populate--': true,
    })
    .options(Object.fromEntries(shape.flags.map((name) => [name, yargsOptions(name, shape.flags)])))
    .example(`${shape.command} ${shape.example}`, '')
    .check((parsed) => {
      refuseUnknown(parsed, shape);
      if (!parsed.help && !parsed.version) requireGiven(parsed, shape);
      return true;
    });
  return argv;
}

/**
 * yargs is not told of choices and of what is required: its complaints would name neither the flag nor the way out. Nor of
 * defaults, with which it takes a flag without its value for one that was not given.
 */
function yargsOptions(name: FlagName, all: readonly FlagName[]): Options {
  const { type, array }: Flag = FLAGS[name];
  return {
    group: groupOf(name),
    type,
    describe: helpOf(name, all),
    requiresArg: type !== 'boolean',
    ...(array && { array }),
  };
}

/**
 * What `--help` says of a flag: `of weights and activations (the checkpoint's): bf16, f16, f32`. That it needs another is
 * not said where the command takes that one for granted.
 */
export function helpOf(name: FlagName, all: readonly FlagName[]): string {
  const { describe, choices, required, needs, default: initial }: Flag = FLAGS[name];
  const notes = [
    required && 'required',
    needs && (all as readonly string[]).includes(needs) && `with --${needs}`,
    (typeof initial === 'number' || typeof initial === 'string') && initial !== '' && `${initial}`,
  ].filter((note) => typeof note === 'string');
  return `${describe}${choices ? `: ${choices.join(', ')}` : ''}${notes.map((note) => ` (${note})`).join('')}`;
}

/** What other programs call flags of ours, of which a command may have one or the other. */
const ELSEWHERE: Readonly<Record<string, readonly FlagName[]>> = {
  max_new_tokens: ['max_output_length', 'max_tokens'],
  max_tokens: ['max_output_length'],
  max_output_length: ['max_tokens'],
  max_seq_len: ['max_model_len', 'max_input_length'],
  model: ['model_path'],
  model_name_or_path: ['model_path'],
  num_threads: ['threads'],
  prompt: ['input_texts'],
  prompts: ['input_texts'],
};

/** What yargs itself puts beside the flags. */
export const YARGS_KEYS = ['_', '$0', 'help', 'h', 'version'];

/** @throws OPTION_UNKNOWN naming the first flag that the command has not, and the nearest that it has */
export function refuseUnknown(parsed: Parsed, { command, flags, alsoKnown = [] }: CommandShape): void {
  const known = [...flags, ...alsoKnown];
  const unknown = Object.keys(parsed).find((name) => !YARGS_KEYS.includes(name) && !known.includes(name));
  if (unknown === undefined) return;
  const meant = Object.hasOwn(ELSEWHERE, unknown) ? ELSEWHERE[unknown] : undefined;
  const nearest = meant?.find((name) => flags.includes(name)) ?? nearestName(unknown, flags);
  throw new AtbError('OPTION_UNKNOWN', {
    option: `--${unknown.slice(0, 64)}`,
    nearest: nearest && `--${nearest}`,
    help: `${command} --help`,
  });
}

function requireGiven(parsed: Parsed, { flags, required = [] }: CommandShape): void {
  const missing = flags.find((name) => {
    const flag: Flag = FLAGS[name];
    return (flag.required || required.includes(name)) && parsed[name] === undefined;
  });
  if (missing !== undefined) refuseRequest(`--${missing}`, `given: ${helpOf(missing, flags)}`, undefined);
}

/**
 * The options that a command's flags set. Checks what they hold, also where yargs did not see it.
 * @throws REQUEST_INVALID naming the flag
 */
export function optionsOf<N extends FlagName>(parsed: Parsed, names: readonly N[]): OptionsOf<N> {
  const entries = names.flatMap((name) => {
    const flag: Flag = FLAGS[name];
    const given = parsed[name] === undefined ? flag.default : parsed[name];
    if (given === undefined) return [];
    checkValue(name, flag, given);
    if (flag.needs !== undefined && !parsed[flag.needs])
      refuseRequest(`--${name}`, `used together with --${flag.needs}`, given);
    const value = flag.read === undefined ? given : flag.read(given as never, name);
    return value === undefined ? [] : [[flag.option, value]];
  });
  return Object.fromEntries(entries) as OptionsOf<N>;
}

function checkValue(name: string, { type, array, choices, mayBeEmpty }: Flag, given: unknown): void {
  // As a variable of a shell leaves it that was not set.
  if (!mayBeEmpty && [given].flat().includes('')) refuseRequest(`--${name}`, 'followed by a value', '');
  const isTyped = (value: unknown): boolean =>
    type === 'number' ? Number.isFinite(value) : typeof value === type;
  const fits = (value: unknown): boolean =>
    choices === undefined ? isTyped(value) : choices.some((choice) => choice === value);
  const isGood = array ? Array.isArray(given) && given.every(fits) : fits(given);
  if (isGood) return;
  const one = choices === undefined ? `a ${type}` : `one of ${choices.join(', ')}`;
  refuseRequest(`--${name}`, array ? `a list, each ${one}` : one, given);
}

/** How yargs' own complaints end a command. */
export function usageError(message: string | undefined, error: Error | undefined, help: string): Error {
  const [, bare] = /^Not enough arguments following: (\S+)$/.exec(message ?? '') ?? [];
  if (bare !== undefined) {
    const field = `--${bare}`;
    return new AtbError('REQUEST_INVALID', { field, expected: 'followed by a value', found: undefined });
  }
  if (error) return error;
  const [, found, wanted] =
    /^Not enough non-option arguments: got (\d+), need at least (\d+)$/.exec(message ?? '') ?? [];
  if (wanted !== undefined)
    return new AtbError('REQUEST_INVALID', {
      field: 'what stands beside the flags',
      expected: `${wanted} argument${wanted === '1' ? '' : 's'}, as \`${help}\` lists them`,
      found: Number(found),
    });
  const [, beside] = /^Unknown commands?: (.+)$/.exec(message ?? '') ?? [];
  return new AtbError('REQUEST_INVALID', {
    field: beside === undefined ? 'the command line' : 'what stands beside the flags',
    expected: `as \`${help}\` lists it${beside === undefined ? '' : ' (--model_path names a checkpoint)'}`,
    found: beside ?? message,
  });
}
