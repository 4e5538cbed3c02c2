import type { NativeTokenRules } from '../native/sampler-options.js';

/**
 * What a checkpoint asks of the tokens of its texts beyond penalties, each as `transformers` means the key of
 * generation_config.json that it is named after. Of no effect on guided answers.
 */
export interface TokenRules {
  /** Added to the logit of a sequence's last token where the others stand at the end of prompt and text; -Infinity forbids it. */
  readonly sequenceBias?: readonly (readonly [tokens: readonly number[], bias: number])[];
  /** Rows of so many tokens that come once in prompt and text. */
  readonly noRepeatNgramSize?: number;
  /** Tokens of prompt and text before which nothing ends the text. */
  readonly minLength?: number;
  /** One of them ends a text that `maxTokens` would cut. */
  readonly forcedEosTokens?: readonly number[];
  /** What ends texts becomes likelier, by this factor for each new token behind so many. */
  readonly exponentialDecayLengthPenalty?: readonly [start: number, factor: number];
  /** Tokens that no text begins with. */
  readonly beginSuppressTokens?: readonly number[];
}

const MAX_FACTOR = 1000;
const MAX_COUNT = 2 ** 31 - 1;

const isTokenId = (found: unknown): found is number => Number.isInteger(found) && (found as number) >= 0;
const isSequence = (found: unknown): found is number[] =>
  Array.isArray(found) && found.length > 0 && found.every(isTokenId);
const isCount = (found: unknown): found is number => isTokenId(found) && found <= MAX_COUNT;

/** How each key of generation_config.json is read; undefined for what is malformed. */
const KEYS: Readonly<
  Record<string, { readonly expected: string; read(found: unknown): TokenRules | undefined }>
> = {
  bad_words_ids: {
    expected: 'a list of lists of token ids',
    read: (found) => {
      const words = Array.isArray(found) ? found.map((word: unknown) => [word].flat()) : [undefined];
      if (!words.every(isSequence)) return undefined;
      // Words of one token are suppressed.
      const long = words.filter(({ length }) => length > 1);
      return { sequenceBias: long.map((word) => [word, Number.NEGATIVE_INFINITY]) };
    },
  },
  sequence_bias: {
    expected: 'a list of token ids with a number each',
    read: (found) => {
      const isPair = (pair: unknown): pair is [number[], number] =>
        Array.isArray(pair) && pair.length === 2 && isSequence(pair[0]) && Number.isFinite(pair[1]);
      return Array.isArray(found) && found.every(isPair) ? { sequenceBias: found } : undefined;
    },
  },
  no_repeat_ngram_size: {
    expected: 'an integer of at least 0',
    read: (found) => (isCount(found) ? { ...(found > 0 && { noRepeatNgramSize: found }) } : undefined),
  },
  min_length: {
    expected: 'an integer of at least 0',
    read: (found) => (isCount(found) ? { ...(found > 0 && { minLength: found }) } : undefined),
  },
  forced_eos_token_id: {
    expected: 'a token id, or a list of them',
    read: (found) =>
      isSequence([found].flat()) ? { forcedEosTokens: [found].flat() as number[] } : undefined,
  },
  exponential_decay_length_penalty: {
    expected: `a number of tokens, and a factor above 0 and up to ${MAX_FACTOR}`,
    read: (found) => {
      const [start, factor] = Array.isArray(found) && found.length === 2 ? (found as unknown[]) : [];
      const isFactor = typeof factor === 'number' && factor > 0 && factor <= MAX_FACTOR;
      return isCount(start) && isFactor ? { exponentialDecayLengthPenalty: [start, factor] } : undefined;
    },
  },
  begin_suppress_tokens: {
    expected: 'a list of token ids',
    read: (found) =>
      Array.isArray(found) && found.every(isTokenId) ? { beginSuppressTokens: found } : undefined,
  },
};

/** The rules of a generation_config.json. `warn` hears of keys that are malformed, which are not applied. */
export function tokenRulesIn(
  raw: ReadonlyMap<string, unknown>,
  warn: (key: string, expected: string, way: string) => void,
): TokenRules | undefined {
  const rules: TokenRules[] = [];
  for (const [key, { expected, read }] of Object.entries(KEYS)) {
    const found = raw.get(key);
    const isEmpty = typeof found === 'object' && found !== null && Object.keys(found).length === 0;
    const rule = found === undefined || isEmpty ? {} : read(found);
    if (rule === undefined) warn(key, expected, 'it is not applied');
    else rules.push(rule);
  }
  const sequenceBias = rules.flatMap((one) => one.sequenceBias ?? []);
  const { sequenceBias: _, ...all }: TokenRules = Object.assign({}, ...rules);
  const found = { ...all, ...(sequenceBias.length > 0 && { sequenceBias }) };
  return Object.keys(found).length > 0 ? found : undefined;
}

/** The same for the native sampler. `ends`: what ends texts, nothing where texts go on behind it. */
export function nativeTokenRules(
  rules: TokenRules,
  maxTokens: number,
  ends: readonly number[],
): NativeTokenRules {
  const { sequenceBias = [], noRepeatNgramSize = 0, forcedEosTokens, beginSuppressTokens } = rules;
  const [growthStart, growth] = rules.exponentialDecayLengthPenalty ?? [0, 1];
  return {
    sequenceBias: sequenceBias.map(([tokens, bias]) => [Int32Array.from(tokens), bias]),
    noRepeatNgram: noRepeatNgramSize,
    forcedLast: Int32Array.from(ends.length > 0 ? (forcedEosTokens ?? []) : []),
    lastAt: maxTokens - 1,
    growing: Int32Array.from(growth === 1 ? [] : ends),
    growthStart,
    growth,
    notFirst: Int32Array.from(beginSuppressTokens ?? []),
  };
}
