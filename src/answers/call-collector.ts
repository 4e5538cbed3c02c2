import { beginsJson } from './call-follower.js';
import { JsonNesting } from './json-nesting.js';
import { PythonFollower } from './python-calls.js';

/**
 * Gathers a call until the mark that ends it, looking at each character once. A mark in a text of its JSON or Python, as of a
 * file that shows calls, is none. Without a mark the call goes on to the end of the answer.
 */
export class CallCollector {
  readonly #end: string | undefined;
  readonly #pieces: string[] = [];
  /** What has come and was not asked for. */
  #fresh = '';
  /** Of the mark, whose first character comes once in it. */
  #matchedLen = 0;
  /** What has come as long as it does not tell how strings are written. */
  #start = '';
  /** Of JSON or Python; what is neither has no strings. */
  #strings: { take(letter: string): unknown; readonly isInString: boolean } | undefined;

  constructor(end: string | undefined) {
    this.#end = end;
  }

  /** What stands behind the mark; undefined as long as that has not come. */
  take(piece: string): string | undefined {
    const end = this.#end;
    for (let at = 0; end !== undefined && at < piece.length; at++) {
      const letter = piece[at] as string;
      this.#matchedLen = this.#strings?.isInString ? 0 : matchedWith(letter, end, this.#matchedLen);
      if (this.#matchedLen === end.length) {
        this.#add(piece.slice(0, at + 1));
        return piece.slice(at + 1);
      }
      this.#follow(letter);
    }
    this.#add(piece);
    return undefined;
  }

  /** More of the call, without what may be its mark. */
  fresh(): string {
    const length = this.#fresh.length - this.#matchedLen;
    const found = this.#fresh.slice(0, length);
    this.#fresh = this.#fresh.slice(length);
    return found;
  }

  /** The call without the mark, as far as it has come. */
  get body(): string {
    const body = this.#pieces.join('');
    const isWhole = this.#end !== undefined && this.#matchedLen === this.#end.length;
    return isWhole ? body.slice(0, -this.#matchedLen) : body;
  }

  #add(piece: string): void {
    this.#pieces.push(piece);
    this.#fresh += piece;
  }

  #follow(letter: string): void {
    if (this.#strings !== undefined) {
      this.#strings.take(letter);
      return;
    }
    if (letter.trim() === '') return;
    this.#start += letter;
    const isJson = beginsJson(this.#start);
    if (isJson === undefined) return;
    this.#strings = isJson ? new JsonNesting() : new PythonFollower();
    for (const one of this.#start) this.#strings.take(one);
  }
}

function matchedWith(letter: string, mark: string, matchedLen: number): number {
  if (letter === mark[matchedLen]) return matchedLen + 1;
  return letter === mark[0] ? 1 : 0;
}
