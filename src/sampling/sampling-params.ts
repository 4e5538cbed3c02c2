import { AtbError } from '../errors.js';
import type { SamplerOptions } from '../native/binding.js';

/** How one request chooses its tokens and when it ends: complete and checked. */
export interface SamplingParams {
  /** New tokens at most. */
  readonly maxTokens: number;
  /** Until that many new tokens nothing ends the text, as if `ignoreEos` were set and there were no stops. */
  readonly minTokens: number;
  /** 0: always the most likely token. */
  readonly temperature: number;
  /** The most likely tokens that may be chosen; 0: all. */
  readonly topK: number;
  /** The most likely tokens whose probabilities sum up to this may be chosen; 1: all. */
  readonly topP: number;
  /** Tokens at least this times as likely as the best may be chosen; 0: all. */
  readonly minP: number;
  /** Over 1: tokens of the prompt and the text so far become less likely; 1: off. */
  readonly repetitionPenalty: number;
  /** Subtracted from a token's logit for each time that it was generated. */
  readonly frequencyPenalty: number;
  /** Subtracted from a token's logit once it was generated. */
  readonly presencePenalty: number;
  /** Added to logits, by token. */
  readonly logitBias: ReadonlyMap<number, number>;
  /** Undefined: the engine chooses one. */
  readonly seed: number | undefined;
  /** Log-probability of each chosen token and of this many best; undefined: none at all. */
  readonly logprobs: number | undefined;
  /** Texts that end the generation. */
  readonly stop: readonly string[];
  /** Tokens that end the generation, besides the model's own. */
  readonly stopTokenIds: readonly number[];
  /** Go on after the model's own end-of-sequence tokens. */
  readonly ignoreEos: boolean;
  readonly includeStopStrInOutput: boolean;
  readonly skipSpecialTokens: boolean;
}

/** What a caller may write: every field may be absent (or undefined), single stops and plain objects are accepted. */
export type SamplingOptions = {
  readonly [K in Exclude<keyof SamplingParams, 'stop' | 'logitBias'>]?: SamplingParams[K] | undefined;
} & {
  readonly stop?: string | readonly string[] | undefined;
  readonly logitBias?: ReadonlyMap<number, number> | Readonly<Record<string, number>> | undefined;
};

/** The numbers that a checkpoint's generation_config.json may preset. */
export type SamplingDefaults = Partial<
  Pick<SamplingParams, 'maxTokens' | 'temperature' | 'topK' | 'topP' | 'minP' | 'repetitionPenalty'>
>;

export interface SamplingContext {
  /** Width of the logits: every token id is below it. */
  readonly vocabSize: number;
  /** Values where the caller gave none. */
  readonly defaults?: SamplingDefaults;
}

/** New tokens when neither the caller nor the checkpoint says, as `run_pa` has it. */
const DEFAULT_MAX_TOKENS = 20;
/** Bounds of what a request can make the engine compare at each token. */
const MAX_STOPS = 64;
const MAX_STOP_LEN = 1024;
/** As OpenAI's and MindIE's servers have it. */
const MAX_LOGPROBS = 20;
/** Logits divided by less would leave what a float can tell apart: the best token is chosen. */
const MIN_TEMPERATURE = 1e-5;
const MAX_COUNT = 2 ** 31 - 1;

interface Range {
  readonly min: number;
  readonly max: number;
  readonly isInteger?: boolean;
  /** `min` itself is not allowed. */
  readonly isMinOpen?: boolean;
}

/** MindIE's and OpenAI's limits where they name some; others only keep arithmetic in f32 finite. */
const RANGES = {
  maxTokens: { min: 1, max: MAX_COUNT, isInteger: true },
  minTokens: { min: 0, max: MAX_COUNT, isInteger: true },
  temperature: { min: 0, max: 100 },
  topK: { min: -1, max: MAX_COUNT, isInteger: true },
  topP: { min: 0, max: 1, isMinOpen: true },
  minP: { min: 0, max: 1 },
  repetitionPenalty: { min: 0.01, max: 10 },
  frequencyPenalty: { min: -2, max: 2 },
  presencePenalty: { min: -2, max: 2 },
  seed: { min: 0, max: Number.MAX_SAFE_INTEGER, isInteger: true },
  logprobs: { min: 0, max: MAX_LOGPROBS, isInteger: true },
} as const satisfies Partial<Record<keyof SamplingParams, Range>>;

const BIAS_RANGE: Range = { min: -100, max: 100 };

const DEFAULTS: SamplingParams = {
  maxTokens: DEFAULT_MAX_TOKENS,
  minTokens: 0,
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  logitBias: new Map(),
  seed: undefined,
  logprobs: undefined,
  stop: [],
  stopTokenIds: [],
  ignoreEos: false,
  includeStopStrInOutput: false,
  skipSpecialTokens: true,
};

/**
 * Checks every field of a request and fills in what it leaves open: the caller's value, else the checkpoint's, else ours.
 * @throws REQUEST_INVALID with the field, also for a field that does not exist.
 */
export function resolveSamplingParams(options: SamplingOptions, context: SamplingContext): SamplingParams {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    invalid('sampling parameters', 'an object', options);
  }
  for (const field of Object.keys(options)) {
    if (!Object.hasOwn(DEFAULTS, field)) {
      invalid(
        field,
        `absent, or one of ${Object.keys(DEFAULTS).join(', ')}`,
        (options as Record<string, unknown>)[field],
      );
    }
  }
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const raw: Record<string, unknown> = { ...DEFAULTS, ...context.defaults, ...given };
  const number = (field: keyof typeof RANGES): number => checkNumber(field, raw[field], RANGES[field]);
  const boolean = (field: keyof SamplingParams): boolean => {
    const value = raw[field];
    return typeof value === 'boolean' ? value : invalid(field, 'true or false', value);
  };
  const maxTokens = number('maxTokens');
  const minTokens = number('minTokens');
  if (minTokens > maxTokens) invalid('minTokens', `at most maxTokens (${maxTokens})`, minTokens);
  return {
    maxTokens,
    minTokens,
    temperature: number('temperature'),
    // −1 is another spelling of "all", and more than all are all.
    topK: Math.min(Math.max(number('topK'), 0), context.vocabSize),
    topP: number('topP'),
    minP: number('minP'),
    repetitionPenalty: number('repetitionPenalty'),
    frequencyPenalty: number('frequencyPenalty'),
    presencePenalty: number('presencePenalty'),
    logitBias: checkLogitBias(raw.logitBias, context.vocabSize),
    seed: raw.seed === undefined ? undefined : number('seed'),
    logprobs: raw.logprobs === undefined ? undefined : number('logprobs'),
    stop: checkStops(raw.stop),
    stopTokenIds: checkTokenIds('stopTokenIds', raw.stopTokenIds, context.vocabSize),
    ignoreEos: boolean('ignoreEos'),
    includeStopStrInOutput: boolean('includeStopStrInOutput'),
    skipSpecialTokens: boolean('skipSpecialTokens'),
  };
}

/** Token ids of any field of a request, all checked the same way. @throws REQUEST_INVALID naming the bad one's place. */
export function checkTokenIds(field: string, ids: unknown, vocabSize: number): readonly number[] {
  const isList = Array.isArray(ids) || ids instanceof Int32Array;
  if (!isList) invalid(field, 'a list of token ids', ids);
  for (const [index, id] of ids.entries()) checkTokenId(`${field}[${index}]`, id, vocabSize);
  return Array.from(ids);
}

/** What the native sampler needs; `fallbackSeed` stands in when the request names no seed. */
export function toSamplerOptions(
  params: SamplingParams,
  promptTokens: ArrayLike<number>,
  fallbackSeed: number,
): SamplerOptions {
  return {
    temperature: params.temperature < MIN_TEMPERATURE ? 0 : params.temperature,
    topK: params.topK,
    topP: params.topP,
    minP: params.minP,
    repetitionPenalty: params.repetitionPenalty,
    frequencyPenalty: params.frequencyPenalty,
    presencePenalty: params.presencePenalty,
    logitBias: [...params.logitBias],
    seed: params.seed ?? fallbackSeed,
    topLogprobs: params.logprobs ?? -1,
    promptTokens: Int32Array.from(promptTokens),
  };
}

/** A problem of one default as a sentence; undefined: it is fine. For files that preset defaults. */
export function problemOfDefault(field: keyof SamplingDefaults, value: unknown): string | undefined {
  return isWithin(value, RANGES[field]) ? undefined : describeRange(RANGES[field]);
}

function checkNumber(field: string, value: unknown, range: Range): number {
  return isWithin(value, range) ? value : invalid(field, describeRange(range), value);
}

function isWithin(value: unknown, { min, max, isInteger, isMinOpen }: Range): value is number {
  // Comparisons with NaN are false, so it is never within.
  if (typeof value !== 'number' || !(value >= min && value <= max)) return false;
  return !(isMinOpen && value === min) && (!isInteger || Number.isInteger(value));
}

function describeRange({ min, max, isInteger, isMinOpen }: Range): string {
  return `${isInteger ? 'an integer' : 'a number'} in ${isMinOpen ? '(' : '['}${min}, ${max}]`;
}

function checkTokenId(field: string, id: unknown, vocabSize: number): number {
  return checkNumber(field, id, { min: 0, max: vocabSize - 1, isInteger: true });
}

function checkLogitBias(value: unknown, vocabSize: number): ReadonlyMap<number, number> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    invalid('logitBias', 'a map from token ids to numbers', value);
  }
  const biases = new Map<number, number>();
  for (const [key, bias] of value instanceof Map ? value : Object.entries(value)) {
    // A key of an object is a string; only an integer's own spelling names a token.
    const token = typeof key === 'string' && String(Number(key)) === key ? Number(key) : key;
    const field = `logitBias[${String(key).slice(0, 32)}]`;
    biases.set(checkTokenId(`the key of ${field}`, token, vocabSize), checkNumber(field, bias, BIAS_RANGE));
  }
  return biases;
}

function checkStops(value: unknown): readonly string[] {
  const stops = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(stops) || stops.length > MAX_STOPS) {
    invalid('stop', `a string or a list of at most ${MAX_STOPS} strings`, value);
  }
  for (const [index, stop] of stops.entries()) {
    // A lone surrogate is half a character, which no text has.
    const isText = typeof stop === 'string' && stop.length > 0 && stop.length <= MAX_STOP_LEN;
    if (!isText || /\p{Surrogate}/u.test(stop)) {
      invalid(`stop[${index}]`, `a string of 1 to ${MAX_STOP_LEN} characters`, stop);
    }
  }
  return [...new Set<string>(stops)];
}

function invalid(field: string, expected: string, found: unknown): never {
  throw new AtbError('REQUEST_INVALID', { field, expected, found });
}
