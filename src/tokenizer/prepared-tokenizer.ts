import { join } from 'node:path';
import { describeValue } from '../describe-value.js';
import { factsOf } from './added-tokens.js';
import { withOverrides } from './config-overrides.js';
import type { OpenRequest } from './open-request.js';
import {
  type AddedTokenJson,
  checkTokenizerJson,
  patternsOf,
  type TokenizerPattern,
} from './tokenizer-json.js';
import { lowercased } from './tokenizer-options.js';
import { checkConfig, completeToken, type TokenizerSource, unknownIdOf } from './tokenizer-source.js';

/** What a tokenizer's files come to, without what only the library needs: data that processes can give each other. */
export interface PreparedTokenizer {
  readonly file: string;
  /** tokenizer_config.json, {} when there was none. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Tokens by id; undefined where no token has the id. */
  readonly tokens: readonly (string | undefined)[];
  readonly specialIds: readonly number[];
  /** Added tokens that are looked for in normalised texts: the library writes them as they are then. */
  readonly normalizedIds: readonly number[];
  /** What it writes for those of them that the normaliser changes, by id. Known once the library has the tokenizer. */
  readonly writtenTexts?: readonly (readonly [id: number, text: string])[];
  /** Texts of the special tokens, and of those of them that are none within a word. */
  readonly specials: readonly string[];
  readonly words: readonly string[];
  readonly namedTokens: Readonly<Record<string, string>>;
  /** Of the model, where no token is named for what is unknown. */
  readonly unknownId: number | undefined;
  readonly decoder: Record<string, unknown> | null;
  readonly patterns: readonly TokenizerPattern[];
  /** Whether decoding drops blanks before punctuation. */
  readonly cleansUpSpaces: boolean;
  /** What the files say that is not so. */
  readonly warnings: readonly string[];
}

/** What stands around texts where no file says it: nothing, and the second of two has types of its own. */
const PLAIN_PAIR = {
  type: 'TemplateProcessing',
  single: [{ Sequence: { id: 'A', type_id: 0 } }],
  pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
  special_tokens: {},
};

const isNormalized = ({ normalized, special }: AddedTokenJson): boolean => normalized ?? !special;

/** A control token that takes nothing of the text beside it. */
const isPlainSpecial = ({ special, lstrip, rstrip }: AddedTokenJson): boolean =>
  special === true && lstrip !== true && rstrip !== true;

/** BPE's blanks are the text's own, and stay (transformers 5.24, `TokenizersBackend._decode`). */
const cleansUp = (config: Readonly<Record<string, unknown>>, modelType: unknown): boolean =>
  config.clean_up_tokenization_spaces === true &&
  (modelType !== 'BPE' ||
    config.clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output === true);

/** The library numbers added tokens by the vocabulary, and one after another behind it, whatever is written beside them. */
function numberedOtherwise(
  written: readonly AddedTokenJson[],
  added: readonly AddedTokenJson[],
  file: string,
): string[] {
  const ids = new Map(added.map(({ content, id }) => [content, id]));
  const wrong = written.filter(({ content, id }) => ids.get(content) !== id);
  const [first] = wrong;
  if (first === undefined) return [];
  const others = wrong.length === 1 ? '' : `, and ${wrong.length - 1} more are numbered otherwise, too`;
  const said = `the token ${describeValue(first.content)} has the id ${ids.get(first.content)}, not ${first.id}`;
  return [
    `${file}: ${said} as its added_tokens say${others}; the text of such ids may be another than is meant`,
  ];
}

/**
 * Checks the files and makes of them what decoding needs, and what opens the library's tokenizer. `lowercase`: see
 * `HfTokenizerOptions`. @throws TOKENIZER_INVALID
 */
export function prepareTokenizer(
  { file, tokenizer, charsmap, unigram, config: given = {}, specialTokensMap, addedTokens }: TokenizerSource,
  lowercase = false,
): { readonly prepared: PreparedTokenizer; readonly opening: OpenRequest } {
  const fileOf = (name: string): string => join(file, '..', name);
  const config = checkConfig(given, fileOf('tokenizer_config.json'));
  const json = withOverrides(checkTokenizerJson(tokenizer, file), config);
  const { named, added } = factsOf(json, { config, specialTokensMap, addedTokens }, fileOf);
  const tokens: (string | undefined)[] = [];
  const setToken = (token: string, id: number): void => {
    while (tokens.length < id) tokens.push(undefined);
    tokens[id] = token;
  };
  for (const [token, id] of json.idByToken) setToken(token, id);
  for (const { content, id } of added) setToken(content, id);
  const special = added.filter((token) => token.special);
  const specials = special.map(({ content }) => content);
  const words = special.filter((token) => token.single_word === true).map(({ content }) => content);
  const patterns = patternsOf(json);
  const { model, normalizer, pre_tokenizer, post_processor, decoder } = json;
  const whole = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added.map(completeToken),
    normalizer: lowercase ? lowercased(normalizer) : normalizer,
    pre_tokenizer,
    post_processor: post_processor ?? PLAIN_PAIR,
    decoder,
    model,
  };
  return {
    prepared: {
      file,
      config,
      tokens,
      specialIds: special.map(({ id }) => id),
      normalizedIds: json.normalizer === null ? [] : added.filter(isNormalized).map(({ id }) => id),
      specials,
      words,
      namedTokens: named,
      unknownId: unknownIdOf(model, (token) => json.idByToken.get(token)),
      decoder,
      patterns,
      cleansUpSpaces: cleansUp(config, model.type),
      warnings: numberedOtherwise(json.added_tokens, added, file),
    },
    opening: {
      kind: 'open',
      json: JSON.stringify(whole),
      patterns: patterns.map(({ pattern }) => pattern),
      specials,
      words,
      charsmap,
      unigram: added.every(isPlainSpecial) && !lowercase ? unigram : undefined,
    },
  };
}
