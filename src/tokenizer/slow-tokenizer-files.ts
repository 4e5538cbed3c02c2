import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AtbError } from '../errors.js';
import { isGgufPath } from '../weights/gguf/model-file.js';
import type { LinkOptions } from '../weights/regular-file.js';
import type { CharsmapSource } from './charsmap.js';
import { addsNoMark } from './config-overrides.js';
import type { EdgeToken, EdgeTokens } from './edge-tokens.js';
import { GGUF_FILES } from './gguf-files.js';
import { readModelBytes } from './model-files.js';
import { sentencePieceJson } from './sentencepiece-json.js';
import { type Piece, readSentencePieceModel, type SentencePieceModel } from './sentencepiece-model.js';
import { isTiktoken, readTiktoken, tiktokenJson } from './tiktoken-json.js';
import { TIKTOKEN_CLASSES, type TokenizerClass, tokenizerClassOf } from './tokenizer-class.js';
import type { AddedTokenJson } from './tokenizer-json.js';
import type { UnigramSpec } from './unigram-encoder.js';

type Json = Readonly<Record<string, unknown>>;

/** A tokenizer.json made of another file, and the named tokens which that file knows. */
export interface ConvertedTokenizer {
  readonly file: string;
  readonly tokenizer: object;
  readonly charsmap: CharsmapSource | undefined;
  readonly unigram: UnigramSpec | undefined;
  readonly named: Json;
}

const NAMES = ['tokenizer.model', 'sentencepiece.bpe.model', 'spiece.model', 'spm.model', 'tiktoken.model'];
/** Ids behind the vocabulary that may be left out between added tokens. */
const MAX_RESERVED = 4096;

/**
 * Reads a tokenizer that has no tokenizer.json: a SentencePiece model or a tiktoken file. Undefined when `dir` has
 * neither.
 * @throws TOKENIZER_INVALID, TOKENIZER_MISSING for a tiktoken file of an unknown class, WEIGHT_FILE_*
 */
export async function readSlowTokenizer(
  dir: string,
  config: Json,
  specialTokensMap: Json,
  links: LinkOptions,
): Promise<ConvertedTokenizer | undefined> {
  const listed = isGgufPath(dir) ? GGUF_FILES : await readdir(dir).catch((): string[] => []);
  const name =
    NAMES.find((known) => listed.includes(known)) ?? listed.find((other) => other.endsWith('.tiktoken'));
  if (name === undefined) return undefined;
  const bytes = await readModelBytes(dir, name, links);
  if (bytes === undefined) return undefined;
  const file = join(dir, name);
  const found = tokenizerClassOf(config);
  const texts = { ...config, ...specialTokensMap };
  return isTiktoken(bytes)
    ? convertTiktoken(bytes, file, dir, found, config, texts)
    : convertSentencePiece(bytes, file, found, config, texts);
}

function convertSentencePiece(
  bytes: Uint8Array,
  file: string,
  found: TokenizerClass,
  config: Json,
  texts: Json,
): ConvertedTokenizer {
  const stored = readSentencePieceModel(bytes, file);
  const read = addsNoMark(config) ? { ...stored, addsDummyPrefix: false } : stored;
  const model = { ...read, pieces: renamed(found.arrange?.(read, config) ?? read.pieces, config) };
  const ids = new Map(model.pieces.map(({ text }, id) => [text, id]));
  const known = (text: string | undefined): string | undefined =>
    text !== undefined && ids.has(text) ? text : undefined;
  const named = {
    unk_token: model.pieces.find(({ type }) => type === 'unknown')?.text,
    bos_token: known(model.bosPiece),
    eos_token: known(model.eosPiece),
    pad_token: known(model.padPiece),
  };
  const added = addedBehind(ids.size, config, found.specials, file);
  const edges = edgesOf(found, { ...named, ...texts }, new Map([...ids, ...byContent(added)]));
  const prefixesEverySegment = found.prefixes === 'every';
  // Of merges, where a text begins with a blank: an encoder of its own finds the pieces of the other models.
  const trims = model.algorithm === 'bpe' && model.addsDummyPrefix && model.removesExtraWhitespaces;
  const tokenizer = sentencePieceJson(model, file, { added, edges, prefixesEverySegment });
  return {
    file,
    tokenizer,
    charsmap: model.charsmap.length > 0 || trims ? charsmapOf(model, trims) : undefined,
    unigram: model.algorithm === 'unigram' ? { ...model, edges, prefixesEverySegment } : undefined,
    named,
  };
}

const charsmapOf = ({ charsmap, pieces }: SentencePieceModel, trims: boolean): CharsmapSource => ({
  table: Buffer.from(charsmap).toString('base64'),
  trims,
  kept: pieces.flatMap(({ text, type }) => (type === 'userDefined' ? [text] : [])),
});

function convertTiktoken(
  bytes: Uint8Array,
  file: string,
  dir: string,
  found: TokenizerClass,
  config: Json,
  texts: Json,
): ConvertedTokenizer {
  if (found.tiktoken === undefined) {
    const advice = `${file} has ranks only, and the pattern that cuts words is known for the tokenizer_class ${TIKTOKEN_CLASSES.join(', ')}, not for ${JSON.stringify(config.tokenizer_class ?? null)}: set it in tokenizer_config.json if it is one of these, or write a tokenizer.json with transformers.convert_slow_tokenizer.TikTokenConverter(vocab_file=…, pattern=…).converted().save('tokenizer.json') in Python`;
    throw new AtbError('TOKENIZER_MISSING', { dir, advice });
  }
  const { pattern, isNfc } = found.tiktoken;
  const tokens = readTiktoken(bytes, file);
  const added = addedBehind(tokens.length, config, found.specials, file);
  const edges = edgesOf(found, texts, byContent(added));
  return {
    file,
    tokenizer: tiktokenJson(tokens, file, { pattern, isNfc, added, edges }),
    charsmap: undefined,
    unigram: undefined,
    named: {},
  };
}

function byContent(added: readonly AddedTokenJson[]): Map<string, number> {
  return new Map(added.map(({ content, id }) => [content, id]));
}

/** Ids and texts of `added_tokens_decoder`. */
function decoderEntries({ added_tokens_decoder: decoder }: Json): (readonly [number, string])[] {
  const entries = Object.entries(typeof decoder === 'object' && decoder !== null ? decoder : {});
  return entries.flatMap(([key, token]) => {
    const content: unknown = typeof token === 'object' && token !== null ? token.content : undefined;
    return typeof content === 'string' ? [[Number(key), content] as const] : [];
  });
}

/** Pieces that were kept free for it become the special tokens that `added_tokens_decoder` has at their ids. */
function renamed(pieces: readonly Piece[], config: Json): readonly Piece[] {
  const known = new Set(pieces.map(({ text }) => text));
  const names = new Map(decoderEntries(config).filter(([, content]) => !known.has(content)));
  return pieces.map((piece, id) => {
    const text = names.get(id);
    return text === undefined ? piece : { text, score: 0, type: 'control' };
  });
}

/**
 * The added tokens whose ids follow the vocabulary's, those of the class and of `added_tokens_decoder`. Ids that are
 * left out get a name, as Kimi's class gives them: the library numbers added tokens without gaps.
 */
function addedBehind(
  size: number,
  config: Json,
  specials: readonly string[] | undefined,
  file: string,
): AddedTokenJson[] {
  const behind = decoderEntries(config).filter(([id]) => id >= size);
  const named = new Set(behind.map(([, content]) => content));
  const own = (specials ?? []).map((content, index) => [size + index, content] as const);
  const contentById = new Map([...own.filter(([, content]) => !named.has(content)), ...behind]);
  const end = Math.max(size - 1, ...contentById.keys()) + 1;
  const numReserved = end - size - contentById.size;
  if (!Number.isInteger(end) || numReserved > MAX_RESERVED) {
    const problem = `added_tokens_decoder names the id ${end - 1}, the vocabulary has ${size} tokens`;
    throw new AtbError('TOKENIZER_INVALID', { file, problem });
  }
  return Array.from({ length: end - size }, (_, index) => {
    const id = size + index;
    const content = contentById.get(id) ?? `<|reserved_token_${id}|>`;
    return { id, content, special: true, normalized: false, single_word: /^\p{L}+$/u.test(content) };
  });
}

/** Tokens that no file has an id for are left out. */
function edgesOf(
  { before, behind, between }: TokenizerClass,
  texts: Json,
  ids: ReadonlyMap<string, number>,
): EdgeTokens {
  const edge = (name: string): EdgeToken[] => {
    const text = name.endsWith('_token') ? texts[name] : name;
    const content: unknown =
      typeof text === 'object' && text !== null && 'content' in text ? text.content : text;
    const id = typeof content === 'string' ? ids.get(content) : undefined;
    return typeof content === 'string' && id !== undefined ? [{ content, id }] : [];
  };
  const ends = { before: before.flatMap(edge), behind: behind.flatMap(edge) };
  if (between === undefined) return ends;
  const second =
    between === 'end' ? ({ before: ends.behind, type: 0 } as const) : ({ before: [], type: 1 } as const);
  return { ...ends, second };
}
