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

/**
 * Finds stop strings in a text that comes in pieces. Text that may be the beginning of one is held back. The match
 * that is complete first ends the text; of those that are complete at the same character, the longest. So the outcome
 * does not depend on where the pieces are cut. Constant work per character and stop string.
 */
export class StopStrings {
  readonly #matchers: readonly Matcher[];
  readonly #isIncluded: boolean;
  #held = '';
  #hasStopped = false;

  /** `isIncluded`: the stop string is part of the text. */
  constructor(stops: readonly string[], isIncluded = false) {
    this.#matchers = stops
      .filter((stop) => stop.length > 0)
      .map((stop) => ({ stop, failure: failureTable(stop), matchedLen: 0 }));
    this.#isIncluded = isIncluded;
  }

  push(piece: string): StopScan {
    if (this.#hasStopped) return { text: '', stop: undefined };
    if (this.#matchers.length === 0) return { text: piece, stop: undefined };
    const text = this.#held + piece;
    for (let at = this.#held.length; at < text.length; at++) {
      const stop = this.#advance(text.charCodeAt(at));
      if (stop === undefined) continue;
      this.#hasStopped = true;
      this.#held = '';
      return { text: text.slice(0, this.#isIncluded ? at + 1 : at + 1 - stop.length), stop };
    }
    const heldLen = Math.max(...this.#matchers.map(({ matchedLen }) => matchedLen));
    this.#held = text.slice(text.length - heldLen);
    return { text: text.slice(0, text.length - heldLen), stop: undefined };
  }

  /** The text ended otherwise: what was held back. */
  end(): string {
    const held = this.#held;
    this.#held = '';
    this.#hasStopped = true;
    return held;
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
