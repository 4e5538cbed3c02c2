import { AtbError } from '../errors.js';
import { isObject } from '../is-object.js';
import type { AddedTokenJson, TokenizerJson } from './tokenizer-json.js';

/** The files of a tokenizer besides tokenizer.json, parsed; undefined where there is none. */
export interface TokenizerFiles {
  /** tokenizer_config.json */
  readonly config: Readonly<Record<string, unknown>>;
  /** special_tokens_map.json */
  readonly specialTokensMap?: unknown;
  /** added_tokens.json: ids by tokens. */
  readonly addedTokens?: unknown;
}

/** What the files together say about tokens. */
export interface TokenFacts {
  /** Texts of the tokens that templates know by name: bos_token, eos_token, … */
  readonly named: Readonly<Record<string, string>>;
  /** Tokens that are found in a text before anything else, in the order in which they get their ids. */
  readonly added: readonly AddedTokenJson[];
}

type Config = Readonly<Record<string, unknown>>;
type TokenEntry = Required<Omit<AddedTokenJson, 'id'>>;
/** Flags that a file may leave out. */
type Flags = { readonly [flag in Exclude<keyof TokenEntry, 'content'>]?: boolean | undefined };
type Fail = (name: string, problem: string) => never;

/** The named tokens of every tokenizer; a checkpoint's own ones (`image_token`) end in `_token`, too. */
const NAMED_TOKENS: readonly string[] = [
  'bos_token',
  'eos_token',
  'unk_token',
  'sep_token',
  'pad_token',
  'cls_token',
  'mask_token',
];

const EXTRA = 'extra_special_tokens';

/**
 * The tokens of all files, with `transformers`' precedence: tokenizer_config.json's `added_tokens_decoder` overrides
 * what tokenizer.json says of the same token; where it has none, special_tokens_map.json overrides
 * tokenizer_config.json, and added_tokens.json adds to tokenizer.json, but for ids that that has tokens for. Named
 * tokens are special ones.
 * @throws TOKENIZER_INVALID naming the file whose entry is malformed
 */
export function factsOf(
  json: TokenizerJson,
  files: TokenizerFiles,
  fileOf: (name: string) => string,
): TokenFacts {
  const fail: Fail = (name, problem) => {
    throw new AtbError('TOKENIZER_INVALID', { file: fileOf(name), problem });
  };
  const config: Record<string, unknown> = withOwnNames(files.config);
  const { added_tokens_decoder: decoder } = files.config;
  if (!isObject(decoder) && files.specialTokensMap !== undefined) {
    if (!isObject(files.specialTokensMap)) return fail('special_tokens_map.json', 'must be an object');
    for (const [key, value] of Object.entries(files.specialTokensMap))
      config[key] =
        isObject(value) && key !== EXTRA ? { ...value, special: true } : joined(config[key], value, key);
  }
  if (!('pad_token' in config)) config.pad_token = json.padToken;
  const extra = extraTokens(config);
  const named = namedTokens(config);
  const fromFiles = isObject(decoder)
    ? decoderTokens(decoder, fail)
    : addedTokensOf(files.addedTokens, [...named.values(), ...extra], json, fail);
  const names = new Set([...named.values()].map(({ content }) => content));
  const texts = new Set([...json.added_tokens, ...fromFiles].map(({ content }) => content));
  const changes = [
    ...fromFiles.map((token) => ({ ...complete(token), special: token.special || names.has(token.content) })),
    ...[...named.values()].filter(({ content }) => !texts.has(content)),
    ...extra.filter(({ content }) => !texts.has(content)),
  ];
  return {
    named: Object.fromEntries([...named].map(([name, { content }]) => [name, content])),
    added: merged(json, changes),
  };
}

/** Extra tokens of both files, and of other keys what the second one says. */
const joined = (first: unknown, second: unknown, key: string): unknown =>
  key === EXTRA && Array.isArray(first) && Array.isArray(second) ? [...first, ...second] : second;

/** Names that are a checkpoint's own are gathered in one object; what was called additional tokens is extra ones. */
function withOwnNames(given: Config): Record<string, unknown> {
  const { extra_special_tokens: extra, ...config } = { ...given };
  const takesAdditional = config.additional_special_tokens !== undefined && isEmpty(extra);
  const extras = takesAdditional ? config.additional_special_tokens : extra;
  if (takesAdditional) delete config.additional_special_tokens;
  const own = Object.keys(config).filter((key) => isOwnName(key) && typeof config[key] === 'string');
  const ownTokens = {
    ...Object.fromEntries(own.map((key) => [key, config[key]])),
    ...(isObject(extras) ? extras : {}),
  };
  for (const key of own) delete config[key];
  if (extras !== undefined && !isObject(extras)) config[EXTRA] = extras;
  if (Object.keys(ownTokens).length > 0) config.model_specific_special_tokens = ownTokens;
  return config;
}

const isOwnName = (key: string): boolean => key.endsWith('_token') && !NAMED_TOKENS.includes(key);

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || Object.keys(value).length === 0;

/** Every named token, by its name: those of each tokenizer first. */
function namedTokens(config: Config): Map<string, TokenEntry> {
  const own = Object.keys(config).filter(isOwnName);
  const { model_specific_special_tokens: specific, extra_special_tokens: extra } = config;
  const found = [
    ...[...NAMED_TOKENS, ...own].map((name) => [name, config[name]] as const),
    ...[extra, specific].flatMap((tokens) => (isObject(tokens) ? Object.entries(tokens) : [])),
  ];
  return new Map(
    found.flatMap(([name, token]) => {
      const entry = entryOf(token);
      return entry === undefined ? [] : [[name, { ...entry, special: true }] as const];
    }),
  );
}

/** Further special tokens, which no name stands for. */
function extraTokens({
  extra_special_tokens: extra,
  additional_special_tokens: additional,
}: Config): TokenEntry[] {
  const found = extra === undefined ? additional : extra;
  const tokens = Array.isArray(found) ? found : [];
  // Where nothing says that an object is a token with all its flags, it is a special one.
  return tokens.flatMap((token) => {
    const entry = entryOf(token);
    return entry ? [{ ...entry, special: entry.special || !(isObject(token) && '__type' in token) }] : [];
  });
}

function decoderTokens(decoder: Config, fail: Fail): TokenEntry[] {
  return Object.entries(decoder)
    .sort(([left], [right]) => Number(left) - Number(right))
    .map(
      ([id, token]) =>
        entryOf(token) ?? fail('tokenizer_config.json', `added_tokens_decoder["${id}"] has no content`),
    );
}

/** The library's tokens after these changes of tokenizer.json's: the last flags hold, but what was special stays so. */
function merged(json: TokenizerJson, changes: readonly TokenEntry[]): AddedTokenJson[] {
  const byContent = new Map<string, TokenEntry>();
  for (const token of [...json.added_tokens.map(complete), ...changes]) {
    const isSpecial = token.special || byContent.get(token.content)?.special === true;
    byContent.set(token.content, { ...token, special: isSpecial });
  }
  byContent.delete('');
  return numbered([...byContent.values()], json.idByToken);
}

/** Ids as the Rust library gives them: the vocabulary's, else the next free one. What the files say is not asked. */
function numbered(
  tokens: readonly Omit<AddedTokenJson, 'id'>[],
  idByToken: ReadonlyMap<string, number>,
): AddedTokenJson[] {
  let last = -1;
  return tokens.map((token) => {
    const known = idByToken.get(token.content);
    const id = known ?? (last >= idByToken.size ? last + 1 : idByToken.size);
    last = Math.max(last, id);
    return { ...token, id };
  });
}

/** The tokens of tokenizer.json, and those of added_tokens.json whose ids that has no tokens for, by their ids. */
function addedTokensOf(
  file: unknown,
  specials: readonly TokenEntry[],
  json: TokenizerJson,
  fail: Fail,
): TokenEntry[] {
  if (file !== undefined && !isObject(file))
    return fail('added_tokens.json', 'must be an object of token ids');
  const texts = new Set(specials.map(({ content }) => content));
  const byId = new Map<number, TokenEntry>();
  for (const [content, id] of Object.entries(file ?? {})) {
    if (typeof id !== 'number') return fail('added_tokens.json', `token "${content}" has no id`);
    byId.set(id, complete({ content, special: texts.has(content) }));
  }
  for (const { id, ...token } of json.added_tokens) byId.set(id, complete(token));
  return [...byId].sort(([left], [right]) => left - right).map(([, token]) => token);
}

/** A token as these files write it: its text, which is a special token's, or an object with its text and flags. */
function entryOf(token: unknown): TokenEntry | undefined {
  if (typeof token === 'string')
    return token === '' ? undefined : complete({ content: token, special: true });
  if (!isObject(token) || typeof token.content !== 'string' || token.content === '') return undefined;
  const flag = (name: string): boolean | undefined => {
    const value = token[name];
    return typeof value === 'boolean' ? value : undefined;
  };
  return complete({
    content: token.content,
    special: flag('special'),
    normalized: flag('normalized'),
    single_word: flag('single_word'),
    lstrip: flag('lstrip'),
    rstrip: flag('rstrip'),
  });
}

function complete({
  content,
  special = false,
  normalized = !special,
  single_word = false,
  lstrip = false,
  rstrip = false,
}: Flags & { readonly content: string }): TokenEntry {
  return { content, special, normalized, single_word, lstrip, rstrip };
}
