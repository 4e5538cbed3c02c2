import { refuseRequest } from '../errors.js';
import { nearestName } from '../nearest-name.js';
import { OBJECT, requireArgument, whole } from '../require-argument.js';
import { checkStops } from './stops.js';
import { checkTokenId, checkTokenIds, suppressedTokens } from './token-ids.js';
import type { TokenRules } from './token-rules.js';

/** As OpenAI's and MindIE's servers have it. */
const MAX_LOGPROBS = 20;
/** Logits divided by less would leave what a float can tell apart: the best token is chosen. */
const MIN_TEMPERATURE = 1e-5;
const MAX_COUNT = 2 ** 31 - 1;

interface Range {
  readonly min: number;
  readonly max: number;
  readonly isInteger?: boolean;
}

interface NumberRule extends Range {
  /** Where neither the caller nor the checkpoint says. */
  readonly initial: number;
  /** Its key in generation_config.json, which may preset it. */
  readonly preset?: string;
}

/**
 * The numbers of the distribution that tokens are drawn from; the native sampler takes them under the same names. Limits
 * are MindIE's and OpenAI's where they name some; others only keep arithmetic in f32 finite.
 */
const DISTRIBUTION = {
  /** 0: always the most likely token. */
  temperature: { min: 0, max: 100, initial: 0, preset: 'temperature' },
  /** The most likely tokens that may be chosen; 0: all. */
  topK: { min: -1, max: MAX_COUNT, isInteger: true, initial: 0, preset: 'top_k' },
  /** The most likely tokens whose probabilities sum up to this may be chosen; 1: all, 0: the most likely one. */
  topP: { min: 0, max: 1, initial: 1, preset: 'top_p' },
  /** Tokens at least this times as likely as the best may be chosen; 0: all. */
  minP: { min: 0, max: 1, initial: 0, preset: 'min_p' },
  /** Over 1: tokens of the prompt and the text so far become less likely; 1: off. */
  repetitionPenalty: { min: 0.01, max: 10, initial: 1, preset: 'repetition_penalty' },
  /** Subtracted from a token's logit for each time that it was generated. */
  frequencyPenalty: { min: -2, max: 2, initial: 0 },
  /** Subtracted from a token's logit once it was generated. */
  presencePenalty: { min: -2, max: 2, initial: 0 },
} as const satisfies Record<string, NumberRule>;

const LENGTHS = {
  /** New tokens at most; 20 when nobody says, as `run_pa` has it. */
  maxTokens: { min: 1, max: MAX_COUNT, isInteger: true, initial: 20, preset: 'max_new_tokens' },
  /** Before that many new tokens nothing ends the text: tokens that would are not chosen, and stops are not heeded. */
  minTokens: { min: 0, max: MAX_COUNT, isInteger: true, initial: 0, preset: 'min_new_tokens' },
} as const satisfies Record<string, NumberRule>;

const NUMBERS = { ...LENGTHS, ...DISTRIBUTION };
type NumberField = keyof typeof NUMBERS;
type DistributionField = keyof typeof DISTRIBUTION;
export const DISTRIBUTION_FIELDS = Object.keys(DISTRIBUTION) as DistributionField[];

const SEED: Range = { min: 0, max: Number.MAX_SAFE_INTEGER, isInteger: true };
const LOGPROBS: Range = { min: 0, max: MAX_LOGPROBS, isInteger: true };
const BIAS: Range = { min: -100, max: 100 };

/** How one request chooses its tokens and when it ends: complete and checked. */
export type SamplingParams = { readonly [K in keyof typeof NUMBERS]: number } & {
  /** Added to logits, by token. */
  readonly logitBias: ReadonlyMap<number, number>;
  /** Tokens that are never chosen. */
  readonly suppressTokens: readonly number[];
  /** Undefined: the engine chooses one. */
  readonly seed: number | undefined;
  /** Log-probability of each chosen token and of this many best; undefined: none at all. */
  readonly logprobs: number | undefined;
  /** The same of each token of the prompt but the first, given those before it; they are computed even if the cache has them. */
  readonly promptLogprobs: number | undefined;
  /** Texts that end the generation. */
  readonly stop: readonly string[];
  /** Tokens that end the generation, besides the model's own. */
  readonly stopTokenIds: readonly number[];
  /** Go on after the model's own end-of-sequence tokens, unless a guide's text ends there. */
  readonly ignoreEos: boolean;
  readonly includeStopStrInOutput: boolean;
  readonly skipSpecialTokens: boolean;
  /** What the checkpoint asks for beyond. */
  readonly tokenRules: TokenRules;
};

/** What a caller may write: every field may be absent (or undefined), single stops and plain objects are accepted. */
export type SamplingOptions = {
  readonly [K in Exclude<keyof SamplingParams, 'stop' | 'logitBias' | 'tokenRules'>]?:
    | SamplingParams[K]
    | undefined;
} & {
  readonly stop?: string | readonly string[] | undefined;
  readonly logitBias?: ReadonlyMap<number, number> | Readonly<Record<string, number>> | undefined;
};

/** Numbers that a request uses only where it draws tokens at random. */
const DRAWS = ['topK', 'topP', 'minP'] as const satisfies readonly DistributionField[];

type PresetField = {
  [K in NumberField]: (typeof NUMBERS)[K] extends { readonly preset: string } ? K : never;
}[NumberField];

/** What a checkpoint's generation_config.json may preset. */
export type SamplingDefaults = { readonly [K in PresetField]?: number } & Pick<
  SamplingPresets,
  'suppressTokens' | 'tokenRules' | 'stop'
>;

/** What holds where a request says nothing, and what only a checkpoint may ask for. */
export type SamplingPresets = SamplingOptions & { readonly tokenRules?: TokenRules | undefined };

/** Those numbers with their keys in the file. */
export const PRESETS: ReadonlyArray<readonly [field: PresetField, key: string]> = Object.entries(
  NUMBERS,
).flatMap(([field, rule]) => ('preset' in rule ? [[field as PresetField, rule.preset] as const] : []));

const INITIAL: Omit<SamplingParams, 'tokenRules'> = {
  ...(Object.fromEntries(Object.entries(NUMBERS).map(([field, { initial }]) => [field, initial])) as Record<
    NumberField,
    number
  >),
  logitBias: new Map(),
  suppressTokens: [],
  seed: undefined,
  logprobs: undefined,
  promptLogprobs: undefined,
  stop: [],
  stopTokenIds: [],
  ignoreEos: false,
  includeStopStrInOutput: false,
  skipSpecialTokens: true,
};

export interface SamplingContext {
  /** Width of the logits: every token id is below it. */
  readonly vocabSize: number;
  /** What holds where the request says nothing. */
  readonly defaults?: SamplingPresets;
}

/** Options one over another: what a later one says holds, and undefined says nothing. */
export function mergeSampling(...layers: readonly SamplingPresets[]): SamplingPresets {
  for (const layer of layers) requireArgument('mergeSampling', 'each of its arguments', OBJECT, layer);
  const said = (layer: SamplingPresets) => Object.entries(layer).filter(([, value]) => value !== undefined);
  return Object.fromEntries(layers.flatMap(said));
}

/**
 * Checks every field of a request and fills in what it leaves open: the caller's value, else the checkpoint's, else ours.
 * @throws REQUEST_INVALID with the field, also for a field that does not exist.
 */
export function resolveSamplingParams(options: SamplingOptions, context: SamplingContext): SamplingParams {
  requireArgument('resolveSamplingParams', 'the context', OBJECT, context);
  const { vocabSize, defaults = {} } = context;
  requireArgument('resolveSamplingParams', 'context.vocabSize', whole(1), vocabSize);
  requireArgument('resolveSamplingParams', 'context.defaults', OBJECT, defaults);
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    refuseRequest('sampling parameters', 'an object', options);
  }
  for (const field of Object.keys(options)) {
    if (!Object.hasOwn(INITIAL, field)) {
      const nearest = nearestName(field, Object.keys(INITIAL));
      const expected = nearest
        ? `absent: the nearest option is ${nearest}`
        : `absent, or one of ${Object.keys(INITIAL).join(', ')}`;
      refuseRequest(field, expected, (options as Record<string, unknown>)[field]);
    }
  }
  const raw = withoutUnused(mergeSampling(INITIAL, defaults, options), options);
  const numbers = checkNumbers(NUMBERS, raw, options);
  const { maxTokens } = numbers;
  // What a checkpoint asks for gives way to what the request has room for.
  const minTokens =
    options.minTokens === undefined ? Math.min(numbers.minTokens, maxTokens) : numbers.minTokens;
  if (minTokens > maxTokens) refuseRequest('minTokens', `at most maxTokens (${maxTokens})`, minTokens);
  const { minLength, ...rules } = defaults.tokenRules ?? {};
  const boolean = (field: keyof SamplingOptions): boolean => {
    const value = raw[field];
    return typeof value === 'boolean' ? value : refuseRequest(field, 'true or false', value);
  };
  const count = (field: 'logprobs' | 'promptLogprobs'): number | undefined =>
    raw[field] === undefined ? undefined : checkNumber(field, raw[field], LOGPROBS);
  return {
    ...numbers,
    minTokens,
    // −1 is another spelling of "all", and more than all are all.
    topK: Math.min(Math.max(numbers.topK, 0), vocabSize),
    logitBias: checkLogitBias(raw.logitBias, vocabSize),
    suppressTokens: suppressedTokens(options.suppressTokens, defaults.suppressTokens, vocabSize),
    seed: raw.seed === undefined ? undefined : checkNumber('seed', raw.seed, SEED),
    logprobs: count('logprobs'),
    promptLogprobs: count('promptLogprobs'),
    // A checkpoint's stop strings end texts as its end tokens do.
    stop: checkStops(raw.ignoreEos === true ? (options.stop ?? []) : raw.stop),
    stopTokenIds: Array.from(checkTokenIds('stopTokenIds', raw.stopTokenIds, vocabSize, vocabSize)),
    ignoreEos: boolean('ignoreEos'),
    includeStopStrInOutput: boolean('includeStopStrInOutput'),
    skipSpecialTokens: boolean('skipSpecialTokens'),
    // It counts the prompt, too; what counts new tokens alone goes before it.
    tokenRules:
      (options.minTokens ?? defaults.minTokens) === undefined && minLength !== undefined
        ? { ...rules, minLength }
        : rules,
  };
}

/**
 * A greedy request draws nothing, so what defaults say of draws cannot harm it, out of range or not; what it says itself
 * is checked all the same.
 */
function withoutUnused(merged: SamplingOptions, options: SamplingOptions): SamplingOptions {
  const { temperature } = merged;
  if (typeof temperature !== 'number' || !(temperature >= 0 && temperature < MIN_TEMPERATURE)) return merged;
  const unused = DRAWS.filter(
    (field) => options[field] === undefined && !isWithin(merged[field], NUMBERS[field]),
  );
  return { ...merged, ...pick(INITIAL, unused) };
}

/** Whether the request draws tokens at random, and hence has a use for a seed. */
export function isSampled({ temperature }: SamplingParams): boolean {
  return temperature >= MIN_TEMPERATURE;
}

export function pick<T, K extends keyof T>(from: T, keys: readonly K[]): Pick<T, K> {
  return Object.fromEntries(keys.map((key) => [key, from[key]])) as Pick<T, K>;
}

/** A problem of one default as a sentence; undefined: it is fine. For files that preset defaults. */
export function problemOfDefault(field: PresetField, value: unknown): string | undefined {
  return isWithin(value, NUMBERS[field]) ? undefined : describeRange(NUMBERS[field]);
}

/** `options`: what the request says itself; what it leaves to defaults that are out of range is named as theirs. */
function checkNumbers<F extends NumberField>(
  rules: Readonly<Record<F, NumberRule>>,
  raw: SamplingOptions,
  options: SamplingOptions,
): Record<F, number> {
  const check = (field: F): number => {
    const rule = rules[field];
    if (options[field] !== undefined || isWithin(raw[field], rule))
      return checkNumber(field, raw[field], rule);
    const source =
      rule.preset === undefined ? 'defaults' : `defaults (${rule.preset} of generation_config.json)`;
    return refuseRequest(
      field,
      `given, as what the model's ${source} say is not ${describeRange(rule)}`,
      raw[field],
    );
  };
  const fields = Object.keys(rules) as F[];
  return Object.fromEntries(fields.map((field) => [field, check(field)])) as Record<F, number>;
}

function checkNumber(field: string, value: unknown, range: Range): number {
  return isWithin(value, range) ? value : refuseRequest(field, describeRange(range), value);
}

function isWithin(value: unknown, { min, max, isInteger }: Range): value is number {
  // Comparisons with NaN are false, so it is never within.
  if (typeof value !== 'number' || !(value >= min && value <= max)) return false;
  return !isInteger || Number.isInteger(value);
}

function describeRange({ min, max, isInteger }: Range): string {
  return `${isInteger ? 'an integer' : 'a number'} in [${min}, ${max}]`;
}

function checkLogitBias(value: unknown, vocabSize: number): ReadonlyMap<number, number> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    refuseRequest('logitBias', 'a map from token ids to numbers', value);
  }
  const biases = new Map<number, number>();
  for (const [key, bias] of value instanceof Map ? value : Object.entries(value)) {
    // A key of an object is a string; only an integer's own spelling names a token.
    const token = typeof key === 'string' && String(Number(key)) === key ? Number(key) : key;
    const field = `logitBias[${String(key).slice(0, 32)}]`;
    biases.set(checkTokenId(`the key of ${field}`, token, vocabSize), checkNumber(field, bias, BIAS));
  }
  return biases;
}
