import { AtbError } from '../errors.js';
import { runWithin, TimeLimitExceeded } from './bounded.js';
import { SplitPreTokenizer } from './hf-package.js';
import { patternsOf, type TokenizerJson } from './tokenizer-json.js';

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const REST = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const UPPER = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]';
const LOWER = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]';

function cl100k(digits: string): string {
  return `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${REST}`;
}

function o200k(contraction: string, digits: string): string {
  const words = [`${UPPER}*${LOWER}+`, `${UPPER}+${LOWER}*`].map(
    (word) => `[^\\r\\n\\p{L}\\p{N}]?${word}${contraction}`,
  );
  return `${words.join('|')}|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${REST}`;
}

/** Patterns of well-known tokenizers that need linear time on any text, so they run without a limit. */
export const LINEAR_PATTERNS: ReadonlySet<string> = new Set([
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", // GPT-2
  cl100k('\\p{N}{1,3}'), // Llama 3
  cl100k('\\p{N}'), // Qwen 1.5–3
  o200k(`${CONTRACTIONS}?`, '\\p{N}{1,3}'), // o200k, Llama 4
  o200k('', '\\p{N}'), // Mistral's Tekken
  '\\p{N}{1,3}', // DeepSeek V3: three in a row
  '[一-龥぀-ゟ゠-ヿ]+',
  '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
  '[\\r\\n]',
  '\\s+',
  '\\d',
  ' ',
]);

const MAX_PATTERN_LEN = 4096;
/** Linear patterns need under 1 ms for all probes, quadratic ones some 20 ms; cubic and exponential ones do not end. */
const PROBE_LEN = 1024;
const PROBE_LIMIT_MS = 400;

/**
 * Compiles every regular expression of a tokenizer.json. True: all are known to be linear. False: some are not known,
 * so whoever runs them sets a time limit.
 * @throws TOKENIZER_PATTERN naming the file and the pattern that does not compile.
 */
export function areLinear(json: TokenizerJson, file: string): boolean {
  const patterns = patternsOf(json);
  for (const { part, pattern } of patterns) {
    const refuse = (reason: string, cause?: unknown): never => {
      throw new AtbError('TOKENIZER_PATTERN', { file, part, pattern, reason }, { cause });
    };
    if (pattern.length > MAX_PATTERN_LEN)
      refuse(`it has ${pattern.length} characters, at most ${MAX_PATTERN_LEN}`);
    try {
      new SplitPreTokenizer({
        type: 'Split',
        pattern: { Regex: pattern },
        behavior: 'Isolated',
        invert: false,
      });
    } catch (error) {
      refuse(error instanceof Error ? error.message : String(error), error);
    }
  }
  return patterns.every(({ pattern }) => LINEAR_PATTERNS.has(pattern));
}

/**
 * Tries patterns that are not known on long runs of the characters that they mention, within a time limit, so that one
 * that backtracks without end is refused when the tokenizer is loaded. What passes still runs within a limit.
 * @throws TOKENIZER_PATTERN
 */
export function probePatterns(json: TokenizerJson, file: string): void {
  for (const { part, pattern } of patternsOf(json)) {
    if (LINEAR_PATTERNS.has(pattern)) continue;
    const splitter = new SplitPreTokenizer({
      type: 'Split',
      pattern: { Regex: pattern },
      behavior: 'Isolated',
      invert: false,
    });
    try {
      runWithin(PROBE_LIMIT_MS, () => {
        for (const probe of probesOf(pattern)) splitter.pre_tokenize_text(probe);
      });
    } catch (error) {
      if (!(error instanceof TimeLimitExceeded) && !(error instanceof RangeError)) throw error;
      const reason = `it needs more than ${PROBE_LIMIT_MS} ms for ${PROBE_LEN} characters`;
      throw new AtbError('TOKENIZER_PATTERN', { file, part, pattern, reason }, { cause: error });
    }
  }
}

function probesOf(pattern: string): string[] {
  const words = new Set([
    'a',
    'A',
    '1',
    ' ',
    '\n',
    '!',
    '漢',
    'aA',
    ' a',
    ...(pattern.match(/[\p{L}\p{N}]+/gu) ?? []),
  ]);
  return [...words].slice(0, 32).map((word) => `${word.repeat(Math.ceil(PROBE_LEN / word.length))}\u0001`);
}
