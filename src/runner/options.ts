import { AtbError, refuseRequest } from '../errors.js';
import { isObject } from '../is-object.js';
import { nearestName } from '../nearest-name.js';
import type { OpenModelOptions } from './open-model.js';
import type { ModelRunnerOptions, RunnerOptions } from './runner-options.js';

/** What a value would have to be; undefined: it is that. Nobody asks about an absent value unless it is `required`. */
export interface OptionCheck {
  readonly required?: true;
  readonly expected: (value: unknown) => string | undefined;
}

/** A check for each option, so that one that is spelt otherwise does not exist. */
export type OptionChecks<T> = { readonly [K in keyof Required<T>]: OptionCheck };

const is =
  (expected: string, holds: (value: unknown) => boolean): OptionCheck['expected'] =>
  (value) =>
    holds(value) ? undefined : expected;

export const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 1;

export const CHECKS = {
  /** Whoever uses the option checks it. */
  elsewhere: { expected: () => undefined },
  count: { expected: is('an integer >= 1', isCount) },
  bytes: { expected: is('a number of bytes', (value) => Number.isFinite(value) && Number(value) >= 0) },
  positive: { expected: is('a number above 0', (value) => typeof value === 'number' && value > 0) },
  integer: { expected: is('an integer', (value) => Number.isSafeInteger(value)) },
  text: { expected: is('a text', (value) => typeof value === 'string') },
  texts: {
    expected: is(
      'a list of texts',
      (value) => Array.isArray(value) && value.every((each) => typeof each === 'string'),
    ),
  },
  list: { expected: is('a list', Array.isArray) },
  flag: { expected: is('true or false', (value) => typeof value === 'boolean') },
  callback: { expected: is('a function', (value) => typeof value === 'function') },
  modelPath: { required: true, expected: is('the directory of a checkpoint', (path) => isPath(path)) },
  /** A file or folder to write. */
  output: { required: true, expected: is('a path', (path) => isPath(path)) },
  object: { expected: is('an object', (value) => typeof value === 'object' && value !== null) },
} as const satisfies Record<string, OptionCheck>;

export function oneOf(...choices: readonly string[]): OptionCheck {
  return { expected: is(`one of ${choices.join(', ')}`, (value) => choices.includes(value as string)) };
}

const isPath = (path: unknown): boolean => typeof path === 'string' && path !== '';

const isPaths = (paths: unknown): boolean => isObject(paths) && Object.values(paths).every(isPath);

/** @throws REQUEST_INVALID for what has no options, as null has none */
export function requireOptions(given: unknown, name: string): asserts given is object {
  if (typeof given !== 'object' || given === null) refuseRequest(name, 'an object', given);
}

/**
 * Refuses what only JavaScript can give: options that do not exist, values of another type.
 * @throws REQUEST_INVALID by the option's name; OPTION_UNKNOWN with the nearest name and that of the type that lists all
 */
export function checkOptions<T>(given: unknown, checks: OptionChecks<T>, type: string): void {
  requireOptions(given, type);
  const known: ReadonlyMap<string, OptionCheck> = new Map(Object.entries<OptionCheck>(checks));
  for (const option of Object.keys(given)) {
    if (known.has(option)) continue;
    const nearest = nearestName(option, known.keys());
    throw new AtbError('OPTION_UNKNOWN', { option: `option ${option.slice(0, 64)}`, nearest, help: type });
  }
  const values = new Map<string, unknown>(Object.entries(given));
  for (const [option, { required = false, expected }] of known) {
    const value = values.get(option);
    if (value === undefined && !required) continue;
    const wanted = expected(value);
    if (wanted !== undefined) refuseRequest(option, wanted, value);
  }
}

export const OPEN_MODEL_OPTIONS: OptionChecks<OpenModelOptions> = {
  modelPath: CHECKS.modelPath,
  modelDirs: CHECKS.texts,
  loraModules: { expected: is('an object of the folders of adapters, by their names', isPaths) },
  use: oneOf('generate', 'embed', 'rank'),
  allowUnread: CHECKS.flag,
  allowLinks: CHECKS.flag,
  onWarning: CHECKS.callback,
  dtype: oneOf('bf16', 'f16', 'f32'),
  maxPositionEmbeddings: CHECKS.elsewhere,
  quantize: CHECKS.elsewhere,
  quantGroupSize: CHECKS.elsewhere,
  quantizeHead: CHECKS.elsewhere,
  kvQuant: CHECKS.elsewhere,
  loadTokenizer: CHECKS.flag,
  chatTemplate: CHECKS.text,
  allowedLocalMediaPath: CHECKS.text,
};

const isPassSelection = (value: unknown): boolean =>
  value === 'all' || value === 'none' || CHECKS.texts.expected(value) === undefined;

const RUNNER_OPTIONS: OptionChecks<RunnerOptions> = {
  threads: CHECKS.count,
  isa: CHECKS.text,
  blockSize: {
    expected: is(
      'a multiple of 32',
      (value) => Number.isSafeInteger(value) && Number(value) > 0 && Number(value) % 32 === 0,
    ),
  },
  numBlocks: {
    required: true,
    expected: is('an integer >= 1', (value) => isCount(value) || typeof value === 'function'),
  },
  shownPlaces: CHECKS.count,
  largestStep: CHECKS.object,
  passes: { expected: is('all, none or a list of names', isPassSelection) },
  profile: CHECKS.flag,
  weightsCache: { expected: is('a folder', (path) => isPath(path)) },
  nativePath: CHECKS.text,
  onProgress: CHECKS.callback,
  onPlan: CHECKS.callback,
};

export const MODEL_RUNNER_OPTIONS: OptionChecks<ModelRunnerOptions> = {
  ...OPEN_MODEL_OPTIONS,
  ...RUNNER_OPTIONS,
};
