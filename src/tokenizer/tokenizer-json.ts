import { describeValue } from '../describe-value.js';
import { AtbError } from '../errors.js';
import { isObject } from '../is-object.js';

/** A tokenizer.json that was checked. */
export interface TokenizerJson {
  /** Of the model's vocabulary. */
  readonly idByToken: ReadonlyMap<string, number>;
  readonly model: Record<string, unknown>;
  readonly added_tokens: readonly AddedTokenJson[];
  readonly normalizer: Record<string, unknown> | null;
  readonly pre_tokenizer: Record<string, unknown> | null;
  readonly post_processor: Record<string, unknown> | null;
  readonly decoder: Record<string, unknown> | null;
  /** Which token its padding names. */
  readonly padToken: string | undefined;
}

export interface AddedTokenJson {
  readonly id: number;
  readonly content: string;
  readonly special?: boolean;
  readonly normalized?: boolean;
  readonly single_word?: boolean;
  readonly lstrip?: boolean;
  readonly rstrip?: boolean;
}

/** Gemma 3 and mT5 have 262,000 tokens: four times that. */
export const MAX_VOCAB = 2 ** 20;
/** Each position of a text is compared with added tokens of up to this length. */
const MAX_ADDED_LEN = 512;
/** Steps of a normaliser, a pre-tokeniser, a decoder; real ones have up to 8. */
const MAX_STEPS = 32;
/** Characters that a step may put in place of one; real ones put in one. */
const MAX_CONTENT_LEN = 16;
/** How many times as long the steps of a normaliser together may make a text. */
const MAX_GROWTH = 64;

/** The types of steps that the library knows. */
const STEP_TYPES: Readonly<Record<string, ReadonlySet<string>>> = {
  normalizer: new Set([
    'BertNormalizer',
    'ByteLevel',
    'Lowercase',
    'NFC',
    'NFD',
    'NFKC',
    'NFKD',
    'Nmt',
    'Precompiled',
    'Prepend',
    'Replace',
    'Sequence',
    'Strip',
    'StripAccents',
  ]),
  pre_tokenizer: new Set([
    'BertPreTokenizer',
    'ByteLevel',
    'CharDelimiterSplit',
    'Delimiter',
    'Digits',
    'FixedLength',
    'Metaspace',
    'Punctuation',
    'Sequence',
    'Split',
    'UnicodeScripts',
    'Whitespace',
    'WhitespaceSplit',
  ]),
  post_processor: new Set([
    'BertProcessing',
    'ByteLevel',
    'RobertaProcessing',
    'Sequence',
    'TemplateProcessing',
  ]),
};

/**
 * Checks a parsed tokenizer.json: the vocabulary's ids, that merges are between tokens, added tokens, and the steps
 * whose parameters could hang or blow up.
 * @throws TOKENIZER_INVALID naming the file and the place.
 */
export function checkTokenizerJson(value: unknown, file: string): TokenizerJson {
  const fail = (problem: string): never => {
    throw new AtbError('TOKENIZER_INVALID', { file, problem });
  };
  const object = (name: string, found: unknown): Record<string, unknown> =>
    isObject(found) ? found : fail(`${name} must be an object, found ${describeValue(found)}`);
  const part = (name: string): Record<string, unknown> | null => {
    const found = root[name] ?? null;
    return found === null ? null : object(name, found);
  };
  const root = object('the file', value);
  const model = { ...object('model', root.model) };
  model.type ??= Array.isArray(model.vocab) ? 'Unigram' : 'merges' in model ? 'BPE' : 'WordPiece';
  const idByToken = checkVocab(model, fail);
  if (model.type === 'BPE') model.merges = checkMerges(model, idByToken, fail);
  // Only a trainer leaves merges out at random.
  if (model.type === 'BPE') model.dropout = null;
  const added = checkAddedTokens(root.added_tokens ?? [], fail);
  const parts = {
    normalizer: part('normalizer'),
    pre_tokenizer: part('pre_tokenizer'),
    post_processor: part('post_processor'),
    decoder: part('decoder'),
  };
  for (const [name, found] of Object.entries(parts)) checkSteps(name, found, fail);
  const padToken = isObject(root.padding) ? root.padding.pad_token : undefined;
  return {
    idByToken,
    model,
    added_tokens: added,
    ...parts,
    padToken: typeof padToken === 'string' ? padToken : undefined,
  };
}

/** A regular expression, and the part of tokenizer.json that has it. */
export interface TokenizerPattern {
  readonly part: string;
  readonly pattern: string;
}

/** Every regular expression of the normaliser and the pre-tokeniser. */
export function patternsOf(json: TokenizerJson): TokenizerPattern[] {
  return (['normalizer', 'pre_tokenizer'] as const).flatMap((part) =>
    stepsOf(json[part]).flatMap(({ pattern }) =>
      isObject(pattern) && typeof pattern.Regex === 'string' ? [{ part, pattern: pattern.Regex }] : [],
    ),
  );
}

/** The types of a part's steps, those inside `Sequence`s too. */
export function stepTypesOf(part: Record<string, unknown> | null): string[] {
  return stepsOf(part).map(({ type }) => String(type));
}

type Fail = (problem: string) => never;

function checkVocab(model: Record<string, unknown>, fail: Fail): Map<string, number> {
  const { type, vocab } = model;
  if (type === 'Unigram') {
    if (!Array.isArray(vocab) || vocab.length === 0 || vocab.length > MAX_VOCAB) {
      return fail(`model.vocab must be a list of 1 to ${MAX_VOCAB} pieces`);
    }
    const isPiece = (entry: unknown): boolean =>
      Array.isArray(entry) && entry.length === 2 && typeof entry[0] === 'string' && Number.isFinite(entry[1]);
    const bad = vocab.findIndex((entry) => !isPiece(entry));
    if (bad >= 0) fail(`model.vocab[${bad}] must be [piece, score], found ${describeValue(vocab[bad])}`);
    const { unk_id: unk } = model;
    if (unk != null && !isIdBelow(unk, vocab.length))
      fail(`model.unk_id ${describeValue(unk)} is not a piece`);
    return new Map(vocab.map(([piece]: [string, number], id) => [piece, id]));
  }
  if (type !== 'BPE' && type !== 'WordPiece' && type !== 'WordLevel')
    fail(`model.type must be BPE, Unigram, WordPiece or WordLevel, found ${describeValue(type)}`);
  if (!isObject(vocab)) return fail('model.vocab must be an object of token ids');
  // Entries of a million keys take ten times as long as the keys.
  const tokens = Object.keys(vocab);
  if (tokens.length === 0 || tokens.length > MAX_VOCAB)
    fail(`model.vocab must have 1 to ${MAX_VOCAB} tokens, found ${tokens.length}`);
  const idByToken = new Map<string, number>();
  const ids = new Set<number>();
  for (const token of tokens) {
    const id = vocab[token];
    if (!isIdBelow(id, MAX_VOCAB))
      return fail(`token ${describeValue(token)} has the id ${describeValue(id)}`);
    if (ids.has(id)) fail(`token ${describeValue(token)} shares the id ${id} with another`);
    ids.add(id);
    idByToken.set(token, id);
  }
  return idByToken;
}

/** Merges as pairs, each of tokens that exist, into one that exists. */
function checkMerges(model: Record<string, unknown>, idByToken: Map<string, number>, fail: Fail): string[][] {
  const { merges, continuing_subword_prefix: prefix } = model;
  if (!Array.isArray(merges)) return fail('model.merges must be a list');
  if (merges.length > 2 * MAX_VOCAB) fail(`model.merges has ${merges.length} entries`);
  return merges.map((entry: unknown, rank) => {
    const pair = typeof entry === 'string' ? entry.split(' ') : entry;
    if (
      !Array.isArray(pair) ||
      pair.length !== 2 ||
      typeof pair[0] !== 'string' ||
      typeof pair[1] !== 'string'
    ) {
      return fail(`model.merges[${rank}] must be a pair of tokens, found ${describeValue(entry)}`);
    }
    const [left, right] = pair as [string, string];
    const merged =
      left + (typeof prefix === 'string' && right.startsWith(prefix) ? right.slice(prefix.length) : right);
    for (const token of [left, right, merged]) {
      if (token === '' || !idByToken.has(token))
        fail(`model.merges[${rank}] needs ${describeValue(token)}, which is no token`);
    }
    return [left, right];
  });
}

/** What ids they have is for the library to say. It has no tokens without text. */
function checkAddedTokens(value: unknown, fail: Fail): AddedTokenJson[] {
  if (!Array.isArray(value) || value.length > MAX_VOCAB) return fail('added_tokens must be a list');
  for (const [index, token] of value.entries()) {
    const place = `added_tokens[${index}]`;
    if (!isObject(token)) return fail(`${place} must be an object, found ${describeValue(token)}`);
    const { id, content } = token;
    if (!isIdBelow(id, MAX_VOCAB)) return fail(`${place}.id must be a token id, found ${describeValue(id)}`);
    if (typeof content !== 'string' || content.length > MAX_ADDED_LEN) {
      return fail(
        `${place}.content must be a string of at most ${MAX_ADDED_LEN} characters, found ${describeValue(content)}`,
      );
    }
  }
  return (value as AddedTokenJson[]).filter(({ content }) => content !== '');
}

/** The steps of a part, those inside `Sequence`s too. A part nested more deeply than steps are allowed ends early. */
function stepsOf(part: unknown, depth = 0): Record<string, unknown>[] {
  if (!isObject(part) || depth > MAX_STEPS) return [];
  const inner = [part.normalizers, part.pretokenizers, part.processors, part.decoders]
    .filter(Array.isArray)
    .flat();
  return [part, ...inner.flatMap((step) => stepsOf(step, depth + 1))];
}

function checkSteps(name: string, part: unknown, fail: Fail): void {
  const steps = stepsOf(part);
  if (steps.length > MAX_STEPS) fail(`${name} has ${steps.length} steps, at most ${MAX_STEPS} are allowed`);
  for (const step of steps) {
    const type =
      typeof step.type === 'string'
        ? step.type
        : fail(`${name} has a step without a type: ${describeValue(step)}`);
    if (STEP_TYPES[name]?.has(type) === false) fail(`${name}: unknown type ${describeValue(type)}`);
    for (const key of ['content', 'prepend', 'replacement', 'str_rep', 'suffix', 'prefix']) {
      const text = step[key];
      if (typeof text === 'string' && text.length > MAX_CONTENT_LEN) {
        fail(
          `${name}: ${key} of ${type} must have at most ${MAX_CONTENT_LEN} characters, found ${text.length}`,
        );
      }
    }
    if (isObject(step.pattern)) {
      const found = Object.keys(step.pattern).filter((key) => key === 'Regex' || key === 'String');
      const pattern = step.pattern[found[0] ?? ''];
      if (found.length !== 1 || typeof pattern !== 'string' || pattern === '') {
        fail(`${name}: pattern of ${type} must be a Regex or a String, found ${describeValue(step.pattern)}`);
      }
    } else if (type === 'Replace' || type === 'Split') fail(`${name}: ${type} needs a pattern`);
    // Cut into pieces of no length, a text never ends.
    if (type === 'FixedLength' && !(isIdBelow(step.length, MAX_VOCAB) && step.length > 0))
      fail(`${name}: length of FixedLength must be at least 1`);
    for (const key of ['single', 'pair']) {
      const pieces = step[key];
      if (Array.isArray(pieces) && (pieces.length > MAX_STEPS || !pieces.every(isObject)))
        fail(`${name}: ${key} of ${type} is malformed`);
    }
  }
  const repeated = name === 'pre_tokenizer' && steps.filter(({ type }) => type === 'ByteLevel').length > 1;
  if (repeated) fail(`${name} has ByteLevel more than once`);
  const growth = steps.reduce(
    (product, { type, content }) =>
      product * (type === 'Replace' && typeof content === 'string' ? Math.max(1, content.length) : 1),
    1,
  );
  if (name === 'normalizer' && growth > MAX_GROWTH)
    fail(`normalizer may make a text ${growth} times as long, at most ${MAX_GROWTH} times are allowed`);
}

function isIdBelow(value: unknown, limit: number): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < limit;
}
