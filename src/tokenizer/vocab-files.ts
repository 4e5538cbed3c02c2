import { join } from 'node:path';
import { AtbError } from '../errors.js';
import { isObject } from '../is-object.js';
import type { LinkOptions } from '../weights/regular-file.js';
import { byteLevelBpe } from './bpe-model.js';
import { bosEosProcessor, type EdgeToken } from './edge-tokens.js';
import { MAX_FILE_BYTES, readModelJson, readModelText } from './model-files.js';
import type { ConvertedTokenizer } from './slow-tokenizer-files.js';
import { TEKKEN_NAMED, tekkenJson } from './tekken-json.js';
import { classNameOf, gpt4Pattern, tokenizerClassOf } from './tokenizer-class.js';

type Json = Readonly<Record<string, unknown>>;

/** A class of transformers 5.24 whose tokenizers are a vocabulary and merges of bytes. */
interface ByteLevelClass {
  readonly named: Readonly<Record<string, string>>;
  /** Cuts words, before GPT-2's own pattern would; composed characters come first. */
  readonly pattern?: string;
  /** Whether `sep` stands twice between two texts. */
  readonly isRoberta?: boolean;
}

const END = '<|endoftext|>';
const ROBERTA_NAMED = {
  bos_token: '<s>',
  eos_token: '</s>',
  sep_token: '</s>',
  cls_token: '<s>',
  unk_token: '<unk>',
  pad_token: '<pad>',
  mask_token: '<mask>',
};
const DEBERTA_NAMED = {
  ...{ bos_token: '[CLS]', eos_token: '[SEP]', sep_token: '[SEP]', cls_token: '[CLS]' },
  ...{ unk_token: '[UNK]', pad_token: '[PAD]', mask_token: '[MASK]' },
};
const BYTE_LEVEL: ReadonlyMap<string, ByteLevelClass> = new Map([
  ['GPT2Tokenizer', { named: { unk_token: END, bos_token: END, eos_token: END } }],
  ['Qwen2Tokenizer', { named: { unk_token: END, eos_token: END, pad_token: END }, pattern: gpt4Pattern('') }],
  ['RobertaTokenizer', { named: ROBERTA_NAMED, isRoberta: true }],
  // What transformers 5 reads files of that class by, too.
  ['LongformerTokenizer', { named: ROBERTA_NAMED, isRoberta: true }],
  ['DebertaTokenizer', { named: DEBERTA_NAMED, isRoberta: true }],
]);

/** A class whose tokenizers are a vocabulary of WordPiece: what they put around a text is BERT's or RoBERTa's. */
interface WordPieceClass {
  readonly named: Readonly<Record<string, string>>;
  readonly isRoberta?: boolean;
}

const BERT: WordPieceClass = {
  named: {
    unk_token: '[UNK]',
    sep_token: '[SEP]',
    pad_token: '[PAD]',
    cls_token: '[CLS]',
    mask_token: '[MASK]',
  },
};
const MPNET: WordPieceClass = { named: { ...ROBERTA_NAMED, unk_token: '[UNK]' }, isRoberta: true };
const WORD_PIECE: ReadonlyMap<string, WordPieceClass> = new Map([
  ['BertTokenizer', BERT],
  ['DistilBertTokenizer', BERT],
  ['ElectraTokenizer', BERT],
  ['MobileBertTokenizer', BERT],
  ['DPRContextEncoderTokenizer', BERT],
  ['DPRQuestionEncoderTokenizer', BERT],
  ['MPNetTokenizer', MPNET],
]);

/** Of proteins, each of whose tokens is found wherever it is in a text. */
const ESM = 'EsmTokenizer';
const ESM_NAMED = {
  unk_token: '<unk>',
  cls_token: '<cls>',
  pad_token: '<pad>',
  mask_token: '<mask>',
  eos_token: '<eos>',
};

/** The class that nobody names, as whose tokens are in the vocabulary. */
const unnamedClass = (vocab: Json): WordPieceClass =>
  Object.hasOwn(vocab, '[CLS]') || !Object.hasOwn(vocab, '<s>') ? BERT : MPNET;

/** The classes whose vocab.json and merges.txt can be read. */
export const BYTE_LEVEL_CLASSES: readonly string[] = [...BYTE_LEVEL.keys()];

/**
 * A tokenizer.json made of Mistral's tekken.json, of vocab.json and merges.txt, or of WordPiece's vocab.txt; undefined when `dir` has
 * neither, or they are of another class.
 * @throws TOKENIZER_INVALID, WEIGHT_FILE_*
 */
export async function readVocabFiles(
  dir: string,
  config: Json,
  { specialTokensMap, addedTokens }: { readonly specialTokensMap: Json; readonly addedTokens: unknown },
  links: LinkOptions,
): Promise<ConvertedTokenizer | undefined> {
  const tekken = await readModelJson(dir, 'tekken.json', links);
  if (tekken !== undefined) {
    const file = join(dir, 'tekken.json');
    const tokenizer = tekkenJson(tekken, file, config.add_bos_token !== false);
    return { file, tokenizer, charsmap: undefined, unigram: undefined, named: TEKKEN_NAMED };
  }
  const name = classNameOf(config);
  const known = BYTE_LEVEL.get(name);
  if (known !== undefined) {
    const vocab = await readModelJson(dir, 'vocab.json', links);
    const merges = await readModelText(dir, 'merges.txt', MAX_FILE_BYTES, links);
    if (!isObject(vocab) || merges === undefined) return undefined;
    const texts = { ...known.named, ...config, ...specialTokensMap };
    const ids = { ...addedIds(config, addedTokens), ...vocab };
    const tokenizer = byteLevelJson(known, vocab, merges, { config, texts, ids });
    return converted(join(dir, 'vocab.json'), tokenizer, known.named);
  }
  if (name !== '' && name !== ESM && !WORD_PIECE.has(name)) return undefined;
  const lines = await readModelText(dir, 'vocab.txt', MAX_FILE_BYTES, links);
  if (lines === undefined) return undefined;
  const file = join(dir, 'vocab.txt');
  const vocab = Object.fromEntries(
    lines
      .replace(/\r?\n$/, '')
      .split(/\r?\n/)
      .map((token, id) => [token, id]),
  );
  if (name === ESM) {
    const texts = { ...ESM_NAMED, ...config, ...specialTokensMap };
    return converted(file, wordsJson(vocab, texts, file), ESM_NAMED);
  }
  const wordPiece = WORD_PIECE.get(name) ?? unnamedClass(vocab);
  const texts = { ...wordPiece.named, ...config, ...specialTokensMap };
  return converted(file, wordPieceJson(wordPiece, vocab, texts, config, file), wordPiece.named);
}

function converted(
  file: string,
  tokenizer: object,
  named: Readonly<Record<string, string>>,
): ConvertedTokenizer {
  return { file, tokenizer, charsmap: undefined, unigram: undefined, named };
}

/** Ids of the tokens that other files add to a vocabulary. */
function addedIds({ added_tokens_decoder: decoder }: Json, addedTokens: unknown): Record<string, unknown> {
  if (!isObject(decoder)) return isObject(addedTokens) ? { ...addedTokens } : {};
  return Object.fromEntries(Object.entries(decoder).map(([id, token]) => [textOf(token), Number(id)]));
}

function byteLevelJson(
  { pattern, isRoberta }: ByteLevelClass,
  vocab: Json,
  merges: string,
  { config, texts, ids }: Readonly<Record<'config' | 'texts' | 'ids', Json>>,
): object {
  const addsBlank = config.add_prefix_space === true;
  const bytes = { type: 'ByteLevel', add_prefix_space: addsBlank, trim_offsets: true };
  const split = { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false };
  const { before, behind } = tokenizerClassOf(config);
  const edges = (names: readonly string[]): EdgeToken[] =>
    names.flatMap((name) => tokenOf(texts[name], ids) ?? []);
  const ends = { before: edges(before), behind: edges(behind) };
  const [sep, cls] = [tokenOf(texts.sep_token, ids), tokenOf(texts.cls_token, ids)];
  return {
    added_tokens: [],
    normalizer: pattern === undefined ? null : { type: 'NFC' },
    pre_tokenizer:
      pattern === undefined
        ? { ...bytes, use_regex: true }
        : { type: 'Sequence', pretokenizers: [split, { ...bytes, use_regex: false }] },
    post_processor:
      isRoberta && sep && cls
        ? robertaProcessor(cls, sep, addsBlank)
        : bosEosProcessor({ ...ends, second: { before: ends.before, type: 1 } }),
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: byteLevelBpe({
      vocab,
      merges: merges.split(/\r?\n/).filter((line) => line.trim() !== '' && !line.startsWith('#version')),
    }),
  };
}

/** One text between `cls` and `sep`, and two with `sep` twice between them. */
const robertaProcessor = (cls: EdgeToken, sep: EdgeToken, addsBlank: boolean): object => ({
  type: 'RobertaProcessing',
  sep: pairOf(sep),
  cls: pairOf(cls),
  trim_offsets: true,
  add_prefix_space: addsBlank,
});

/** One text between `cls` and `sep`, and the second of two, which has types of its own, with a `sep` behind it. */
function bertProcessor(cls: EdgeToken, sep: EdgeToken): object {
  const special = (token: EdgeToken, type: number) => ({
    SpecialToken: { id: token.content, type_id: type },
  });
  const text = (id: 'A' | 'B', type: number) => ({ Sequence: { id, type_id: type } });
  const single = [special(cls, 0), text('A', 0), special(sep, 0)];
  return {
    type: 'TemplateProcessing',
    single,
    pair: [...single, text('B', 1), special(sep, 1)],
    special_tokens: Object.fromEntries(
      [cls, sep].map(({ content, id }) => [content, { id: content, ids: [id], tokens: [content] }]),
    ),
  };
}

function wordPieceJson(
  { isRoberta }: WordPieceClass,
  vocab: Readonly<Record<string, number>>,
  texts: Json,
  config: Json,
  file: string,
): object {
  const [cls, sep, unknown] = requiredTokens(
    [texts.cls_token, texts.sep_token, texts.unk_token],
    vocab,
    file,
  );
  const flag = (name: string): boolean => config[name] !== false;
  return {
    added_tokens: [],
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: flag('tokenize_chinese_chars'),
      strip_accents: typeof config.strip_accents === 'boolean' ? config.strip_accents : null,
      lowercase: flag('do_lower_case'),
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: isRoberta ? robertaProcessor(cls, sep, false) : bertProcessor(cls, sep),
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: unknown.content,
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab,
    },
  };
}

/** Tokens that a vocabulary must have. @throws TOKENIZER_INVALID */
function requiredTokens(
  texts: readonly [unknown, unknown, unknown],
  vocab: Json,
  file: string,
): readonly [EdgeToken, EdgeToken, EdgeToken] {
  const [first, second, third] = texts.map((text) => tokenOf(text, vocab));
  if (first && second && third) return [first, second, third];
  const problem = `must have the tokens ${texts.map(textOf).join(', ')}`;
  throw new AtbError('TOKENIZER_INVALID', { file, problem });
}

/** Every token of the vocabulary is one wherever it is in a text; what is between blanks and these is unknown. */
function wordsJson(vocab: Readonly<Record<string, number>>, texts: Json, file: string): object {
  const [cls, eos, unknown] = requiredTokens(
    [texts.cls_token, texts.eos_token, texts.unk_token],
    vocab,
    file,
  );
  const named = Object.keys(ESM_NAMED).map((name) => textOf(texts[name]));
  const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  const tokens = Object.entries(vocab).sort(([, a], [, b]) => a - b);
  return {
    added_tokens: tokens.map(([content, id]) => ({
      id,
      content,
      ...plain,
      special: named.includes(content),
    })),
    normalizer: null,
    pre_tokenizer: { type: 'WhitespaceSplit' },
    post_processor: bertProcessor(cls, eos),
    decoder: null,
    model: { type: 'WordLevel', vocab, unk_token: unknown.content },
  };
}

const pairOf = ({ content, id }: EdgeToken): [string, number] => [content, id];
const textOf = (token: unknown): unknown => (isObject(token) ? token.content : token);

function tokenOf(token: unknown, vocab: Json): EdgeToken | undefined {
  const content = textOf(token);
  const id = typeof content === 'string' && Object.hasOwn(vocab, content) ? vocab[content] : undefined;
  return typeof id === 'number' ? { content: content as string, id } : undefined;
}
