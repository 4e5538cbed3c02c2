import type { Piece, SentencePieceModel } from './sentencepiece-model.js';

/**
 * What the Python code of a tokenizer's class adds to its files: needed only where tokenizer.json, which says all of
 * it, is missing.
 */
export interface TokenizerClass {
  /** Names (`bos_token`) or texts of tokens around a text; add_bos_token and add_eos_token of the config win. */
  readonly before: readonly string[];
  readonly behind: readonly string[];
  /**
   * What stands between two texts behind the end of the first: the tokens that begin a text when absent; its end once
   * more as RoBERTa has it; or nothing as BERT has it, which gives the second text types of its own.
   */
  readonly between?: 'end' | 'nothing';
  /** The dummy prefix stands at the beginning of the text only, or behind every control token as well. */
  readonly prefixes: 'first' | 'every';
  /** Changes of the pieces: some classes shift ids and add tokens. */
  readonly arrange?: (
    model: SentencePieceModel,
    config: Readonly<Record<string, unknown>>,
  ) => readonly Piece[];
  /** Special tokens behind pieces or ranks that no file names. One of letters alone must be a word to be found. */
  readonly specials?: readonly string[];
  readonly tiktoken?: TiktokenClass;
}

export interface TiktokenClass {
  readonly pattern: string;
  readonly isNfc: boolean;
}

/** GPT-4's pattern, with `digits` behind what a digit is: how many make a word. */
export const gpt4Pattern = (digits: string): string =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

/** Chinese characters apart, words by case, then as GPT-4. */
const KIMI_PATTERN = [
  '[\\p{Han}]+',
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
  '\\p{N}{1,3}',
  ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*',
  '\\s*[\\r\\n]+',
  '\\s+(?!\\S)',
  '\\s+',
].join('|');

const control = (text: string): Piece => ({ text, score: 0, type: 'control' });
const PLAIN: TokenizerClass = { before: [], behind: [], prefixes: 'every' };
const WITH_BOS: TokenizerClass = { ...PLAIN, before: ['bos_token'] };

const CLASSES: Readonly<Record<string, TokenizerClass>> = {
  LlamaTokenizer: { ...WITH_BOS, prefixes: 'first' },
  CodeLlamaTokenizer: { ...WITH_BOS, prefixes: 'first' },
  GemmaTokenizer: WITH_BOS,
  InternLMTokenizer: WITH_BOS,
  InternLM2Tokenizer: WITH_BOS,
  InternLM3Tokenizer: WITH_BOS,
  BaichuanTokenizer: WITH_BOS,
  ChatGLMTokenizer: {
    ...PLAIN,
    before: ['[gMASK]', 'sop'],
    specials: [
      ...['[MASK]', '[gMASK]', '[sMASK]', 'sop', 'eop'],
      // ChatGLM3's; ChatGLM2 has no use for them.
      ...['<|system|>', '<|user|>', '<|assistant|>', '<|observation|>'],
    ],
  },
  TelechatTokenizer: WITH_BOS,
  T5Tokenizer: { ...PLAIN, behind: ['eos_token'], arrange: withSentinels },
  XLMRobertaTokenizer: {
    ...PLAIN,
    before: ['bos_token'],
    behind: ['eos_token'],
    between: 'end',
    // The first four ids are fairseq's; SentencePiece has three before its first real piece.
    arrange: ({ pieces }) => [
      control('<s>'),
      control('<pad>'),
      control('</s>'),
      { text: '<unk>', score: 0, type: 'unknown' },
      ...pieces.slice(3),
      control('<mask>'),
    ],
  },
  DebertaV2Tokenizer: {
    ...PLAIN,
    before: ['[CLS]'],
    behind: ['[SEP]'],
    between: 'nothing',
    // Files of the third generation have all but this one.
    arrange: ({ pieces }) =>
      pieces.some(({ text }) => text === '[MASK]') ? pieces : [...pieces, control('[MASK]')],
  },
  QWenTokenizer: {
    ...PLAIN,
    specials: [
      '<|endoftext|>',
      '<|im_start|>',
      '<|im_end|>',
      ...Array.from({ length: 205 }, (_, index) => `<|extra_${index}|>`),
    ],
    tiktoken: { pattern: gpt4Pattern(''), isNfc: true },
  },
  ChatGLM4Tokenizer: {
    ...PLAIN,
    before: ['[gMASK]', '<sop>'],
    tiktoken: { pattern: gpt4Pattern('{1,3}'), isNfc: false },
  },
  TikTokenTokenizer: { ...PLAIN, tiktoken: { pattern: KIMI_PATTERN, isNfc: false } },
};

/** The classes whose tiktoken files can be read. */
export const TIKTOKEN_CLASSES: readonly string[] = Object.keys(CLASSES).filter(
  (name) => CLASSES[name]?.tiktoken,
);

/** What Microsoft's files of DeBERTa say in place of a class. */
const KINDS: Readonly<Record<string, string>> = { spm: 'DebertaV2Tokenizer', gpt2: 'DebertaTokenizer' };

/**
 * `tokenizer_class` of a tokenizer_config.json, by its older name where there are two; empty when it has none. Microsoft's
 * files of DeBERTa say the kind of the vocabulary in its place.
 */
export const classNameOf = ({
  tokenizer_class: found,
  vocab_type: kind,
}: Readonly<Record<string, unknown>>): string => {
  if (typeof found === 'string') return found.replace(/Fast$/, '');
  return typeof kind === 'string' && Object.hasOwn(KINDS, kind) ? (KINDS[kind] ?? '') : '';
};

/** What `tokenizer_class` of a tokenizer_config.json stands for; an unknown class adds nothing. */
export function tokenizerClassOf(config: Readonly<Record<string, unknown>>): TokenizerClass {
  const { legacy, add_bos_token: addBos, add_eos_token: addEos } = config;
  const name = classNameOf(config);
  const known = Object.hasOwn(CLASSES, name) ? (CLASSES[name] ?? PLAIN) : PLAIN;
  const edges = (named: string, own: readonly string[], isAdded: unknown): readonly string[] =>
    typeof isAdded === 'boolean'
      ? [...(isAdded ? [named] : []), ...own.filter((token) => token !== named)]
      : own;
  return {
    ...known,
    before: edges('bos_token', known.before, addBos),
    behind: edges('eos_token', known.behind, addEos),
    prefixes: legacy === true ? 'every' : known.prefixes,
  };
}

/** T5's sentinels stand behind the pieces, the first one last. */
function withSentinels(
  { pieces }: SentencePieceModel,
  { extra_ids: found }: Readonly<Record<string, unknown>>,
): readonly Piece[] {
  const count =
    typeof found === 'number' && Number.isInteger(found) ? Math.min(Math.max(found, 0), 1000) : 100;
  const known = new Set(pieces.map(({ text }) => text));
  const sentinels = Array.from({ length: count }, (_, index) => control(`<extra_id_${count - 1 - index}>`));
  return [...pieces, ...sentinels.filter(({ text }) => !known.has(text))];
}
