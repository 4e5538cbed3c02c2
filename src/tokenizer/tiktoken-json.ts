import { AtbError } from '../errors.js';
import { mergesOf } from './bpe-merges.js';
import { byteLevelBpe } from './bpe-model.js';
import { CHARACTER_OF_BYTE, spelled } from './byte-level.js';
import { bosEosProcessor, type EdgeTokens } from './edge-tokens.js';
import { type AddedTokenJson, MAX_VOCAB } from './tokenizer-json.js';

/** Kimi's have up to 128 blanks. */
const MAX_TOKEN_BYTES = 512;
const LINE = /^([A-Za-z0-9+/]+={0,2}) (\d{1,7})$/;

export interface TiktokenJsonOptions {
  /** The regular expression that cuts a text into words. It is in no file: the family's code has it. */
  readonly pattern: string;
  /** The text is brought into Unicode's form NFC first. */
  readonly isNfc: boolean;
  readonly added: readonly AddedTokenJson[];
  readonly edges: EdgeTokens;
}

/** Whether a file is a list of lines "base64 rank", told by its first line. */
export function isTiktoken(bytes: Uint8Array): boolean {
  const [line = ''] = Buffer.from(bytes.subarray(0, 2 * MAX_TOKEN_BYTES))
    .toString('latin1')
    .split('\n', 1);
  return LINE.test(line.trimEnd());
}

/**
 * Tokens of a tiktoken file in the order of their ranks, which are their ids, each byte spelled as a character.
 * @throws TOKENIZER_INVALID when a line is malformed, a rank is missing, or a byte is no token
 */
export function readTiktoken(bytes: Uint8Array, file: string): string[] {
  const fail = (problem: string): never => {
    throw new AtbError('TOKENIZER_INVALID', { file, problem });
  };
  const lines = Buffer.from(bytes).toString('latin1').split('\n');
  const tokens = new Map<number, string>();
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '') continue;
    const [, base64 = '', digits = ''] =
      LINE.exec(line.trimEnd()) ?? fail(`line ${index + 1} is not "base64 rank"`);
    const token = Buffer.from(base64, 'base64');
    if (token.length > MAX_TOKEN_BYTES || token.length === 0)
      fail(`line ${index + 1} has a token of ${token.length} bytes, expected 1 to ${MAX_TOKEN_BYTES}`);
    const rank = Number(digits);
    if (tokens.has(rank)) fail(`line ${index + 1} has the rank ${rank} of another`);
    tokens.set(rank, spelled(token));
  }
  if (tokens.size > MAX_VOCAB) fail(`has ${tokens.size} tokens, at most ${MAX_VOCAB} are read`);
  const ranked = Array.from(
    { length: tokens.size },
    (_, rank) => tokens.get(rank) ?? fail(`has no rank ${rank}`),
  );
  const known = new Set(ranked);
  if (known.size < ranked.length) fail('has a token twice');
  const missing = CHARACTER_OF_BYTE.findIndex((character) => !known.has(character));
  if (missing >= 0) fail(`has no token for the byte ${missing}`);
  return ranked;
}

/** A tokenizer.json that gives the ids of a tiktoken file. @throws TOKENIZER_INVALID as `mergesOf` */
export function tiktokenJson(
  tokens: readonly string[],
  file: string,
  { pattern, isNfc, added, edges }: TiktokenJsonOptions,
): object {
  return {
    version: '1.0',
    added_tokens: added,
    normalizer: isNfc ? { type: 'NFC' } : null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
      ],
    },
    post_processor: bosEosProcessor(edges),
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
    model: byteLevelBpe({
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: mergesOf(tokens, file),
      ignoresMerges: true,
    }),
  };
}
