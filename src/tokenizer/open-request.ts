import type { CharsmapSource } from './charsmap.js';
import type { UnigramSpec } from './unigram-encoder.js';

/** Opens a tokenizer of the library. */
export interface OpenRequest {
  readonly kind: 'open';
  /** A tokenizer.json. */
  readonly json: string;
  /** Its regular expressions, to be named when one does not compile. */
  readonly patterns: readonly string[];
  /** Texts of the tokens that are control tokens. */
  readonly specials: readonly string[];
  /** Those of them that are none within a word. */
  readonly words: readonly string[];
  /** A SentencePiece model's, if its library's way of replacing characters is wanted. */
  readonly charsmap: CharsmapSource | undefined;
  /** The unigram model that tokenizer.json was made of, if all its added tokens are control tokens. */
  readonly unigram: UnigramSpec | undefined;
}
