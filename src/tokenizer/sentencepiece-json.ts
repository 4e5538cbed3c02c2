import { mergesOf } from './bpe-merges.js';
import { bosEosProcessor, type EdgeTokens } from './edge-tokens.js';
import type { PieceType, SentencePieceModel } from './sentencepiece-model.js';
import type { AddedTokenJson } from './tokenizer-json.js';

/** The mark that SentencePiece puts in place of a blank. */
const BLANK = '▁';
/** More blanks than any text begins with. */
const MAX_BLANKS = 2 ** 24;

/** User-defined pieces that one pattern looks for. More of them are found as added tokens are. */
const MAX_CUT_AT = 512;

export interface SentencePieceJsonOptions {
  /** Tokens behind the pieces. */
  readonly added: readonly AddedTokenJson[];
  /** What is put around a text. */
  readonly edges: EdgeTokens;
  /** Begin with a blank behind each control token, and not only at the beginning of the text. */
  readonly prefixesEverySegment: boolean;
}

/**
 * A tokenizer.json that gives the ids and texts of a SentencePiece model, once its charsmap replaced characters.
 * @throws TOKENIZER_INVALID when the pieces are too long to find their merges in reasonable time
 */
export function sentencePieceJson(
  model: SentencePieceModel,
  file: string,
  { added, edges, prefixesEverySegment }: SentencePieceJsonOptions,
): object {
  const { pieces, addsDummyPrefix } = model;
  const areAdded = userDefinedOf(model).length > MAX_CUT_AT;
  return {
    version: '1.0',
    added_tokens: [
      ...pieces.flatMap(({ text, type }, id) =>
        type === 'control' || type === 'unknown'
          ? [{ id, content: text, special: true, normalized: false }]
          : type === 'userDefined' && areAdded
            ? [{ id, content: text, special: false, normalized: false }]
            : [],
      ),
      ...added,
    ],
    normalizer: normalizerOf(model),
    pre_tokenizer: sequence('pretokenizers', [
      ...(addsDummyPrefix ? dummyPrefix(prefixesEverySegment ? 'always' : 'first') : []),
      ...cuts(model),
    ]),
    post_processor: bosEosProcessor(edges),
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: BLANK }, content: ' ' },
        ...(model.hasByteFallback ? [{ type: 'ByteFallback' }] : []),
        { type: 'Fuse' },
        // Where SentencePiece removes blanks it leaves none at the beginning.
        ...(addsDummyPrefix || model.removesExtraWhitespaces
          ? [{ type: 'Strip', content: ' ', start: model.removesExtraWhitespaces ? MAX_BLANKS : 1, stop: 0 }]
          : []),
      ],
    },
    model: model.algorithm === 'bpe' ? bpeOf(model, file, areAdded) : unigramOf(model),
  };
}

function normalizerOf({ removesExtraWhitespaces }: SentencePieceModel): object | null {
  const replace = (pattern: object, content: string): object => ({ type: 'Replace', pattern, content });
  return sequence('normalizers', [
    // SentencePiece removes blanks only, no other white space; at the end it takes its own mark for one.
    ...(removesExtraWhitespaces
      ? [replace({ Regex: `\\A +|[ ${BLANK}]+\\z` }, ''), replace({ Regex: ' {2,}' }, ' ')]
      : []),
    replace({ String: ' ' }, BLANK),
  ]);
}

/**
 * The library's step puts no mark before a text that begins with one, SentencePiece does. No blank is left at this
 * point, so a step whose mark is the blank itself always puts one, and a second step makes the mark of it.
 */
function dummyPrefix(scheme: 'always' | 'first'): object[] {
  return [
    { type: 'Metaspace', replacement: ' ', prepend_scheme: scheme, split: false },
    { type: 'Metaspace', replacement: BLANK, prepend_scheme: 'never', split: false },
  ];
}

/**
 * Cuts at user-defined pieces, which never merge with their neighbours. Besides, texts of byte, control and unknown
 * pieces never become these pieces in SentencePiece. In the library they do where nothing else can be made of the
 * text: a whole word that is a token, and characters that no piece has.
 */
function cuts({ pieces, algorithm }: SentencePieceModel): object[] {
  const textsOf = (...types: readonly PieceType[]): string[] =>
    pieces.filter(({ type }) => types.includes(type)).map(({ text }) => text);
  const reserved = textsOf('unknown', 'byte', 'control');
  const all = userDefinedOf({ pieces });
  const marked = all.length > MAX_CUT_AT ? [] : all.sort((left, right) => right.length - left.length);
  // The characters with which they begin come first: most places of a text have none of them.
  const firsts = new Set(marked.map((text) => literal([...text][0] ?? '')));
  const userDefined =
    marked.length === 0 ? '' : `(?=[${[...firsts].join('')}])(?:${marked.map(literal).join('|')})`;
  if (algorithm === 'bpe') {
    if (userDefined === '') return [];
    const whole = reserved.map((text) => {
      const [first = '', ...rest] = text;
      return `${literal(first)}(?=${literal(rest.join(''))}\\z)`;
    });
    return [isolate(userDefined), isolate(`\\A(?:${whole.join('|')})`)];
  }
  const known = new Set(textsOf('normal').flatMap((text) => [...text]));
  const hasAll = reserved.every((text) => [...text].every((character) => known.has(character)));
  const others = known.size > 0 ? `[^${[...known].map(literal).join('')}]` : '[\\s\\S]';
  if (userDefined === '') return hasAll ? [] : [isolate(`${others}+`)];
  return [isolate(hasAll ? userDefined : `${userDefined}|(?:(?!${userDefined})${others})+`)];
}

function userDefinedOf({ pieces }: Pick<SentencePieceModel, 'pieces'>): string[] {
  return pieces.flatMap(({ text, type }) => (type === 'userDefined' ? [text] : []));
}

function isolate(pattern: string): object {
  return { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false };
}

/** A text as a regular expression that matches just it. */
function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|#\-&~\s\p{Cc}]/gu, (character) =>
    /[\s\p{Cc}]/u.test(character) ? `\\x{${character.charCodeAt(0).toString(16)}}` : `\\${character}`,
  );
}

function bpeOf(model: SentencePieceModel, file: string, areAdded: boolean): object {
  const { pieces, hasByteFallback } = model;
  // A stable sort: of pieces with the same score the one with the lower id comes first.
  const normal = pieces
    .filter(({ type }) => type === 'normal')
    .sort((left, right) => right.score - left.score);
  return {
    type: 'BPE',
    dropout: null,
    unk_token: pieces.find(({ type }) => type === 'unknown')?.text ?? null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: true,
    byte_fallback: hasByteFallback,
    // User-defined pieces are not made by merges: an isolated one is looked up as a whole, an added one is found before.
    ignore_merges: userDefinedOf(model).length > 0 && !areAdded,
    vocab: Object.fromEntries(pieces.map(({ text }, id) => [text, id])),
    merges: mergesOf(
      normal.map(({ text }) => text),
      file,
    ),
  };
}

/** Control and byte pieces never come from a text. Here they might, so they get a score that never wins. */
function unigramOf({ pieces, hasByteFallback }: SentencePieceModel): object {
  const lowest = pieces.reduce(
    (found, { type, score }) => (type === 'normal' ? Math.min(found, score) : found),
    0,
  );
  const never = 1000 * (lowest - 10);
  return {
    type: 'Unigram',
    unk_id: pieces.findIndex(({ type }) => type === 'unknown'),
    byte_fallback: hasByteFallback,
    vocab: pieces.map(({ text, type, score }) => [
      text,
      type === 'normal' ? score : type === 'userDefined' ? 0 : never,
    ]),
  };
}

function sequence(name: string, steps: readonly object[]): object | null {
  return steps.length === 0 ? null : { type: 'Sequence', [name]: steps };
}
