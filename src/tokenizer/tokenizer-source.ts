import { join } from 'node:path';
import { describeValue } from '../describe-value.js';
import { AtbError } from '../errors.js';
import { isObject } from '../is-object.js';
import type { LinkOptions } from '../weights/regular-file.js';
import type { TokenFacts, TokenizerFiles } from './added-tokens.js';
import type { CharsmapSource } from './charsmap.js';
import { readModelJson, readModelText } from './model-files.js';
import { readSlowTokenizer } from './slow-tokenizer-files.js';
import type { UnigramSpec } from './unigram-encoder.js';
import { BYTE_LEVEL_CLASSES, readVocabFiles } from './vocab-files.js';

/** Parsed files of a tokenizer. */
export interface TokenizerSource extends Partial<Omit<TokenizerFiles, 'config'>> {
  /** Path of tokenizer.json, or of the file that it was made of, for messages. */
  readonly file: string;
  /** Its content. */
  readonly tokenizer: unknown;
  /** By which a SentencePiece model replaces characters before all else. */
  readonly charsmap?: CharsmapSource | undefined;
  /** The SentencePiece unigram model that it was made of. */
  readonly unigram?: UnigramSpec | undefined;
  /** tokenizer_config.json's content. */
  readonly config?: unknown;
}

/**
 * Reads the files of `dir`. Without a tokenizer.json, one is made of its SentencePiece model or tiktoken file.
 * @throws TOKENIZER_MISSING, TOKENIZER_INVALID, WEIGHT_FILE_* for unreadable files
 */
export async function readTokenizerFiles(dir: string, links: LinkOptions = {}): Promise<TokenizerSource> {
  const [tokenizer, config, specialTokensMap, addedTokens] = await Promise.all(
    ['tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json', 'added_tokens.json'].map((name) =>
      readModelJson(dir, name, links),
    ),
  );
  if (tokenizer === undefined) {
    const own = checkConfig(config ?? {}, join(dir, 'tokenizer_config.json'));
    const named = isObject(specialTokensMap) ? specialTokensMap : {};
    const converted =
      (await readSlowTokenizer(dir, own, named, links)) ??
      (await readVocabFiles(dir, own, { specialTokensMap: named, addedTokens }, links));
    if (converted === undefined)
      throw new AtbError('TOKENIZER_MISSING', { dir, advice: await adviceFor(dir) });
    const { tokenizer: made, named: known, ...others } = converted;
    return { ...others, tokenizer: made, config: { ...known, ...own }, specialTokensMap, addedTokens };
  }
  return { file: join(dir, 'tokenizer.json'), tokenizer, config, specialTokensMap, addedTokens };
}

/** All fields that the library asks for, with its own defaults. */
export function completeToken(token: TokenFacts['added'][number]): object {
  const { id, content, special = false, single_word = false, lstrip = false, rstrip = false } = token;
  return { id, content, special, single_word, lstrip, rstrip, normalized: token.normalized ?? !special };
}

export function unknownIdOf(
  model: Readonly<Record<string, unknown>>,
  idOf: (token: string) => number | undefined,
): number | undefined {
  if (typeof model.unk_token === 'string') return idOf(model.unk_token);
  return typeof model.unk_id === 'number' ? model.unk_id : undefined;
}

export function checkConfig(config: unknown, file: string): Record<string, unknown> {
  const fail = (problem: string): never => {
    throw new AtbError('TOKENIZER_INVALID', { file, problem });
  };
  if (!isObject(config)) return fail(`must be an object, found ${describeValue(config)}`);
  const checked: Record<string, unknown> = { ...config };
  for (const flag of ['remove_space', 'do_lowercase_and_remove_accent'])
    if (checked[flag] === true) fail(`${flag} is not supported`);
  return checked;
}

async function adviceFor(dir: string): Promise<string> {
  const exists = async (name: string): Promise<boolean> =>
    (await readModelText(dir, name, 0).catch(() => '')) !== undefined;
  const convert =
    'AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR) in Python, with transformers, writes one';
  for (const [name, what] of [
    [
      'merges.txt',
      `its vocab.json and merges.txt are read where tokenizer_class of tokenizer_config.json is one of ${BYTE_LEVEL_CLASSES.join(', ')}, and must be converted otherwise`,
    ],
    [
      'vocab.txt',
      'its vocab.txt is read where tokenizer_class is BertTokenizer or EsmTokenizer, and must be converted otherwise',
    ],
  ] as const) {
    if (await exists(name)) return `${what}: ${convert}`;
  }
  return 'copy it from where the checkpoint comes from, or use token ids only (--load_tokenizer False --input_ids …)';
}
