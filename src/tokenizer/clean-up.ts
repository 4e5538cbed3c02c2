/**
 * What `clean_up_tokenization_spaces` of a tokenizer_config.json does to a text, in this order (transformers 5.24,
 * `clean_up_tokenization`).
 */
const CHANGES: readonly (readonly [pattern: string, text: string])[] = [
  [' .', '.'],
  [' ?', '?'],
  [' !', '!'],
  [' ,', ','],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
];
/** All that is changed, also what a change before it makes: " n ' t" is "n't". */
const CHANGED = CHANGES.flatMap(([pattern]) => [pattern, pattern.replace(/(?<=.)'(?=.)(?! $)/, () => " ' ")]);
const LONGEST = Math.max(...CHANGED.map((pattern) => pattern.length));

/** A text without the blanks that a tokenizer of words puts before punctuation and contractions. */
export function cleanUp(text: string): string {
  return CHANGES.reduce((changed, [pattern, to]) => changed.replaceAll(pattern, () => to), text);
}

/** The same of a token's text, as the Rust library's decoders do it: they change one thing more. */
export const cleanUpPiece = (text: string): string => cleanUp(text).replaceAll(' do not', " don't");

/** The same of a text that comes in pieces; what may be changed yet is held back. */
export class CleanUp {
  #held = '';

  push(piece: string): string {
    this.#held += piece;
    const end = this.#certainEnd();
    const certain = this.#held.slice(0, end);
    this.#held = this.#held.slice(end);
    return cleanUp(certain);
  }

  end(): string {
    const rest = cleanUp(this.#held);
    this.#held = '';
    return rest;
  }

  /** The last place that lies in no pattern, whatever follows. */
  #certainEnd(): number {
    const held = this.#held;
    const spans = (from: number, place: number): boolean => {
      const found = held.slice(from, from + LONGEST);
      return CHANGED.some(
        (pattern) =>
          pattern.startsWith(found) || (found.startsWith(pattern) && from + pattern.length > place),
      );
    };
    let end = held.length;
    for (let from = end - 1; from >= 0 && from > end - LONGEST; from--) if (spans(from, end)) end = from;
    return end;
  }
}
