import type { LinkOptions } from '../weights/regular-file.js';

export interface DecodeOptions {
  /** Leave special tokens out. Default true. */
  readonly skipSpecialTokens?: boolean;
  /** Drop blanks before punctuation and contractions; by default as the tokenizer's files say. */
  readonly cleansUpSpaces?: boolean;
}

export interface EncodeOptions {
  /** Add what the tokenizer puts around a text (BOS, …). Default true. */
  readonly addSpecialTokens?: boolean;
  /**
   * Read "<|im_end|>" and the like as the token that it names; false: as mere text. Default true, unless
   * `split_special_tokens` of tokenizer_config.json says otherwise.
   */
  readonly parseSpecialTokens?: boolean;
}

export interface HfTokenizerOptions extends LinkOptions {
  /** End-of-sequence tokens of generation_config.json or config.json, besides the tokenizer's own. */
  readonly eosTokenIds?: readonly number[];
  /** What is longer is cut, the longer text of a pair first; nothing is cut when absent. */
  readonly truncation?: Truncation;
  /** Texts are lowercased before anything else; false when absent. */
  readonly lowercase?: boolean;
}

/** Where a text is cut. */
export interface Truncation {
  /** Tokens that stay, with those that the tokenizer puts around them. */
  readonly maxLength: number;
  /** The end that is cut off. */
  readonly side: 'left' | 'right';
}

/** Tokens of a text or a pair of texts. */
export interface TypedTokens {
  readonly tokenIds: Int32Array;
  /** Which text of a pair each belongs to, as the tokenizer's post-processor says. */
  readonly tokenTypes: Int32Array;
}

/** The texts of the tokens that templates know by name. */
export type NamedTokens = Readonly<Record<string, string>>;

/** A normalizer of tokenizer.json behind one that lowercases. */
export const lowercased = (normalizer: unknown): object => ({
  type: 'Sequence',
  normalizers: [{ type: 'Lowercase' }, ...(normalizer ? [normalizer] : [])],
});
