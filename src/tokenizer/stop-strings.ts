/** What a piece of text becomes: `text` may be shown now; `stop` is the stop string that ended it, if one did. */
export interface StopScan {
  readonly text: string;
  readonly stop: string | undefined;
}

/** A stop string with how much of it the text so far ends in, and Knuth–Morris–Pratt's failure table. */
interface Matcher {
  readonly stop: string;
  readonly failure: Uint16Array;
  matchedLen: number;
}

/** A part of the text: one that is only searched is never shown. */
interface Run {
  readonly text: string;
  readonly isHidden: boolean;
}

/**
 * Finds stop strings in a text that comes in pieces. Text that may be the beginning of one is held back. The match
 * that is complete first ends the text; of those that are complete at the same character, the longest. So the outcome
 * does not depend on where the pieces are cut. Constant work per character and stop string.
 */
export class StopStrings {
  readonly #matchers: readonly Matcher[];
  readonly #isIncluded: boolean;
  #held: Run[] = [];
  #heldLen = 0;
  #hasStopped = false;

  /** `isIncluded`: the stop string is part of the text. */
  constructor(stops: readonly string[], isIncluded = false) {
    this.#matchers = stops
      .filter((stop) => stop.length > 0)
      .map((stop) => ({ stop, failure: failureTable(stop), matchedLen: 0 }));
    this.#isIncluded = isIncluded;
  }

  /** `isHidden`: the piece is searched like any other, and not shown. */
  push(piece: string, isHidden = false): StopScan {
    if (this.#hasStopped) return { text: '', stop: undefined };
    const heldLen = this.#heldLen;
    if (piece !== '') this.#held.push({ text: piece, isHidden });
    this.#heldLen += piece.length;
    for (let at = 0; at < piece.length; at++) {
      const stop = this.#advance(piece.charCodeAt(at));
      if (stop === undefined) continue;
      const text = this.#take(heldLen + at + 1 - stop.length);
      this.end();
      return { text: this.#isIncluded ? text + stop : text, stop };
    }
    const matchedLen = Math.max(0, ...this.#matchers.map((matcher) => matcher.matchedLen));
    return { text: this.#take(this.#heldLen - matchedLen), stop: undefined };
  }

  /** The text ended otherwise: what was held back. */
  end(): string {
    this.#hasStopped = true;
    return this.#take(this.#heldLen);
  }

  /** What is shown of the first characters that are held, which are let go. */
  #take(length: number): string {
    this.#heldLen -= length;
    let shown = '';
    for (let left = length; left > 0; ) {
      const { text, isHidden } = this.#held.shift() as Run;
      if (!isHidden) shown += text.slice(0, left);
      if (text.length > left) this.#held.unshift({ text: text.slice(left), isHidden });
      left -= Math.min(left, text.length);
    }
    return shown;
  }

  #advance(character: number): string | undefined {
    let longest: string | undefined;
    for (const matcher of this.#matchers) {
      const { stop, failure } = matcher;
      while (matcher.matchedLen > 0 && stop.charCodeAt(matcher.matchedLen) !== character) {
        matcher.matchedLen = failure[matcher.matchedLen - 1] as number;
      }
      if (stop.charCodeAt(matcher.matchedLen) === character) matcher.matchedLen++;
      if (matcher.matchedLen === stop.length && stop.length > (longest?.length ?? 0)) longest = stop;
    }
    return longest;
  }
}

/** `table[i]`: the longest proper prefix of `stop` that `stop.slice(0, i + 1)` ends in. */
function failureTable(stop: string): Uint16Array {
  const table = new Uint16Array(stop.length);
  for (let at = 1, matched = 0; at < stop.length; at++) {
    while (matched > 0 && stop[at] !== stop[matched]) matched = table[matched - 1] as number;
    if (stop[at] === stop[matched]) matched++;
    table[at] = matched;
  }
  return table;
}
