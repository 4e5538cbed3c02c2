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

interface TokenEntry extends Omit<AddedTokenJson, 'id'> {
  readonly special: boolean;
  readonly normalized: boolean;
}

/** The named tokens of every tokenizer; a checkpoint's own ones (`image_token`) end in `_token`, too. */
const NAMED_TOKENS: ReadonlySet<string> = new Set([
  'bos_token',
  'eos_token',
  'unk_token',
  'sep_token',
  'pad_token',
  'cls_token',
  'mask_token',
]);

/**
 * The tokens of all files, with `transformers`' precedence: tokenizer_config.json's `added_tokens_decoder` overrides
 * what tokenizer.json says of the same token; where it has none, special_tokens_map.json overrides
 * tokenizer_config.json, and added_tokens.json adds to tokenizer.json. Named tokens that are new are special ones.
 * @throws TOKENIZER_INVALID naming the file whose entry is malformed
 */
export function factsOf(
  json: TokenizerJson,
  files: TokenizerFiles,
  fileOf: (name: string) => string,
): TokenFacts {
  const config: Record<string, unknown> = { ...files.config };
  const fail = (name: string, problem: string): never => {
    throw new AtbError('TOKENIZER_INVALID', { file: fileOf(name), problem });
  };
  const decoder = config.added_tokens_decoder;
  const fromFiles: TokenEntry[] = [];
  if (isObject(decoder)) {
    const entries = Object.entries(decoder).sort(([left], [right]) => Number(left) - Number(right));
    for (const [id, token] of entries) {
      const entry = entryOf(token, {});
      fromFiles.push(entry ?? fail('tokenizer_config.json', `added_tokens_decoder["${id}"] has no content`));
    }
  } else {
    if (files.specialTokensMap !== undefined) {
      if (!isObject(files.specialTokensMap)) fail('special_tokens_map.json', 'must be an object');
      else Object.assign(config, files.specialTokensMap);
    }
  }
  config.pad_token ??= json.padToken;
  const own = Object.keys(config).filter((key) => !NAMED_TOKENS.has(key) && key.endsWith('_token'));
  const names = [...NAMED_TOKENS, ...own];
  const namedEntries = names.flatMap((name) => {
    const entry = entryOf(config[name], { special: true });
    return entry === undefined ? [] : [[name, entry] as const];
  });
  const extra = extraTokens(config);
  if (!isObject(decoder) && files.addedTokens !== undefined) {
    const specials = new Set(
      [...namedEntries.map(([, entry]) => entry), ...extra].map(({ content }) => content),
    );
    fromFiles.push(
      ...addedTokensOf(files.addedTokens, specials, (problem) => fail('added_tokens.json', problem)),
    );
  }
  const named = [...namedEntries.map(([, entry]) => entry), ...extra];
  const added = merged(json, fromFiles, named);
  return { named: Object.fromEntries(namedEntries.map(([name, { content }]) => [name, content])), added };
}

/** tokenizer.json's tokens, those of the other files over them, and the named ones that are new. */
function merged(
  json: TokenizerJson,
  fromFiles: readonly TokenEntry[],
  named: readonly TokenEntry[],
): AddedTokenJson[] {
  const byContent = new Map<string, Omit<AddedTokenJson, 'id'>>();
  for (const { id: _, ...token } of json.added_tokens) byContent.set(token.content, token);
  const names = new Set(named.map(({ content }) => content));
  for (const token of fromFiles) {
    const known = byContent.get(token.content);
    if (known !== undefined && isSame(known, token)) continue;
    byContent.set(token.content, { ...token, special: token.special || names.has(token.content) });
  }
  for (const token of named) if (!byContent.has(token.content)) byContent.set(token.content, token);
  byContent.delete('');
  return numbered([...byContent.values()], json.idByToken);
}

function isSame(known: Omit<AddedTokenJson, 'id'>, token: TokenEntry): boolean {
  const { special = false, single_word = false, lstrip = false, rstrip = false } = known;
  return (
    special === token.special &&
    single_word === token.single_word &&
    lstrip === token.lstrip &&
    rstrip === token.rstrip &&
    (known.normalized ?? !special) === token.normalized
  );
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

function extraTokens(config: Readonly<Record<string, unknown>>): TokenEntry[] {
  const listed = config.extra_special_tokens;
  const hasExtra = Array.isArray(listed) ? listed.length > 0 : isObject(listed);
  const found = hasExtra ? listed : config.additional_special_tokens;
  const tokens = Array.isArray(found) ? found : isObject(found) ? Object.values(found) : [];
  return tokens.flatMap((token) => entryOf(token, { special: true }) ?? []);
}

function addedTokensOf(
  file: unknown,
  specials: ReadonlySet<string>,
  fail: (problem: string) => never,
): TokenEntry[] {
  if (!isObject(file)) return fail('must be an object of token ids');
  return Object.entries(file)
    .map(([content, id]) => ({
      content,
      id: typeof id === 'number' ? id : fail(`token "${content}" has no id`),
    }))
    .sort((left, right) => left.id - right.id)
    .map(({ content }) => ({ content, special: specials.has(content), normalized: !specials.has(content) }));
}

/** A token as these files write it: its text, or an object with its text and flags. */
function entryOf(token: unknown, defaults: { readonly special?: boolean }): TokenEntry | undefined {
  const isFlagged = isObject(token);
  const content = isFlagged ? token.content : token;
  if (typeof content !== 'string' || content === '') return undefined;
  const flag = (name: string): boolean | undefined => {
    const value = isFlagged ? token[name] : undefined;
    return typeof value === 'boolean' ? value : undefined;
  };
  const special = defaults.special ?? flag('special') ?? false;
  return {
    content,
    special,
    normalized: flag('normalized') ?? !special,
    single_word: flag('single_word') ?? false,
    lstrip: flag('lstrip') ?? false,
    rstrip: flag('rstrip') ?? false,
  };
}
