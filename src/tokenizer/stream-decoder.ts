import { CleanUp } from './clean-up.js';

/** What a `StreamDecoder` needs of a tokenizer. */
export interface TokenDecoder {
  /** The text of the ids. */
  decode(
    ids: readonly number[],
    options?: { readonly skipSpecialTokens?: boolean; readonly cleansUpSpaces?: boolean },
  ): string;
  /** Whether `decode` drops blanks before punctuation where it is not asked otherwise. */
  readonly cleansUpSpaces?: boolean;
  /** Whether `decode` leaves the token out when it skips special ones. */
  isSpecial(id: number): boolean;
  /** Undefined: no such token (vocabularies are padded); it has no text. */
  idToToken(id: number): string | undefined;
  /** Whether the token is one of a run of bytes, the whole of which says what text it is. Absent: none is. */
  isByte?(id: number): boolean;
}

const REPLACEMENT = '\uFFFD';
/** Tokens in view at which the oldest are let go; UTF-8 needs 4 bytes of context, some decoders a token. */
const LONG_WINDOW = 12;
/** Places that are tried, so that a long run of tokens costs no time. */
const MAX_CUTS = 32;
/** Tokens that stay in view: more than the 4 bytes of a character, each of which may be a token. */
const SHORT_WINDOW = 5;

/**
 * Tokens to text, one at a time: the pieces joined are exactly the whole decoded at once, and none of them ends in half
 * a character. Decodes a short window of latest tokens anew with each; 10–30 µs per token.
 */
export class StreamDecoder {
  readonly #decoder: TokenDecoder;
  readonly #isSkipping: boolean;
  #window: number[] = [];
  /** Characters of the window's text that were handed out. */
  #emittedLen = 0;
  #longWindow = LONG_WINDOW;
  readonly #cleanUp: CleanUp | undefined;

  constructor(
    decoder: TokenDecoder,
    { skipSpecialTokens = true }: { readonly skipSpecialTokens?: boolean } = {},
  ) {
    this.#decoder = decoder;
    this.#isSkipping = skipSpecialTokens;
    this.#cleanUp = decoder.cleansUpSpaces ? new CleanUp() : undefined;
  }

  /** The text that this token completes; often none. */
  push(id: number): string {
    const piece = this.#push(id);
    return this.#cleanUp?.push(piece) ?? piece;
  }

  #push(id: number): string {
    // Left out of the window, so that it never consists of tokens without text.
    if ((this.#isSkipping && this.#decoder.isSpecial(id)) || this.#decoder.idToToken(id) === undefined)
      return '';
    this.#window.push(id);
    // One byte that is no UTF-8 makes all of its run unreadable: nothing is certain before the run ends.
    if (this.#decoder.isByte?.(id)) return '';
    const text = this.#decode(this.#window);
    // At most one trailing U+FFFD can still become a character; those before it are final.
    const stableLen = text.endsWith(REPLACEMENT) ? text.length - 1 : text.length;
    const piece = this.#take(text, stableLen);
    if (this.#window.length >= this.#longWindow) {
      // In vain only for tokens without any text; then it is tried less and less often.
      this.#longWindow = this.#shorten(text) ? LONG_WINDOW : 2 * this.#window.length;
    }
    return piece;
  }

  /** What was held back: half a character, which stays one, and blanks. The decoder starts anew. */
  end(): string {
    const text = this.#decode(this.#window);
    const piece = this.#take(text, text.length);
    this.#window = [];
    this.#emittedLen = 0;
    this.#longWindow = LONG_WINDOW;
    return this.#cleanUp ? this.#cleanUp.push(piece) + this.#cleanUp.end() : piece;
  }

  #take(text: string, stableLen: number): string {
    const piece = text.slice(this.#emittedLen, stableLen);
    this.#emittedLen = Math.max(this.#emittedLen, stableLen);
    return piece;
  }

  /**
   * Lets the oldest tokens go where that does not change the text of the others: the halves' texts must join to the
   * whole, but for the blank that some decoders drop at the very beginning. The kept half has text of its own, so that
   * this blank was dropped already and is not dropped from a token to come.
   */
  #shorten(text: string): boolean {
    const last = this.#window.length - SHORT_WINDOW;
    for (let cut = last; cut > 0 && cut > last - MAX_CUTS; cut--) {
      // A run of bytes is not cut: its parts may read otherwise.
      if (this.#decoder.isByte?.(this.#window[cut] ?? -1)) continue;
      const left = this.#decode(this.#window.slice(0, cut));
      const right = this.#decode(this.#window.slice(cut));
      const gap = text.length - left.length - right.length;
      const isSplit =
        text.startsWith(left) &&
        text.endsWith(right) &&
        (gap === 0 || (gap === 1 && text[left.length] === ' '));
      if (!isSplit || this.#emittedLen <= left.length + gap) continue;
      this.#window = this.#window.slice(cut);
      this.#emittedLen -= left.length + gap;
      return true;
    }
    return false;
  }

  #decode(ids: readonly number[]): string {
    return ids.length === 0
      ? ''
      : this.#decoder.decode(ids, { skipSpecialTokens: false, cleansUpSpaces: false });
  }
}
