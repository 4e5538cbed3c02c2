import type { ToolCall } from './answer-event.js';
import { Follower } from './call-follower.js';
import { NotPython, PythonToJson } from './python-json.js';

const BEGINS_NAME = /[A-Za-z_]/;
const IN_NAME = /[\w.-]/;

/**
 * Calls as Python writes them: `f(a=1, b=['x', None])`, one on a line, or several in a list. One begins with the name of its
 * first argument, or where it has none: `print(1)` is none, as the names of its arguments are all that says what they are.
 */
export class PythonFollower extends Follower {
  #state: 'between' | 'name' | 'arguments' | 'over' | 'off' = 'between';
  #isList = false;
  /** Whether the comma behind a call has come. */
  #hasComma = false;
  #name = '';
  /** Whether white space has ended the name. */
  #isNamed = false;
  #values = new PythonToJson();
  /** What has come of the arguments as long as the call has not begun. */
  #waiting: string | undefined;

  /** Whether what has come is calls and nothing else. */
  get isWhole(): boolean {
    if (this.#state === 'between') return !this.#isList && this.calls.length > 0 && !this.#hasComma;
    return this.#state === 'over';
  }

  /** Whether the next letter stands within a string. */
  get isInString(): boolean {
    return this.#state === 'arguments' && this.#values.isInString;
  }

  protected follow(letter: string): void {
    if (this.#state === 'arguments') this.#argument(letter);
    else if (this.#state === 'name') this.#ofName(letter);
    else if (this.#state !== 'off' && letter.trim() !== '') this.#between(letter);
  }

  #between(letter: string): void {
    const isFirst = this.calls.length === 0;
    if (this.#state === 'over') this.#state = 'off';
    else if (letter === '[' && isFirst && !this.#isList) this.#isList = true;
    else if (letter === ']' && this.#isList && !isFirst) this.#state = 'over';
    else if (letter === ',' && !isFirst && !this.#hasComma) this.#hasComma = true;
    else if (BEGINS_NAME.test(letter) && (isFirst || this.#hasComma || !this.#isList)) {
      this.#state = 'name';
      this.#name = letter;
      this.#isNamed = false;
    } else this.#state = 'off';
  }

  #ofName(letter: string): void {
    if (letter === '(') {
      this.#state = 'arguments';
      this.#values = new PythonToJson({ isArguments: true });
      this.#waiting = '';
    } else if (letter.trim() === '') this.#isNamed = true;
    else if (!this.#isNamed && IN_NAME.test(letter)) this.#name += letter;
    else this.#state = 'off';
  }

  #argument(letter: string): void {
    let json: string;
    try {
      json = this.#values.take(letter);
    } catch (error) {
      if (!(error instanceof NotPython)) throw error;
      this.#state = 'off';
      return;
    }
    if (this.#waiting !== undefined) {
      json = this.#waiting + json;
      this.#waiting = undefined;
      // The mark behind a name makes a colon.
      if (!this.#values.isOver && !json.endsWith(':')) {
        this.#waiting = json;
        return;
      }
      this.start(this.#name);
    }
    this.add(json);
    if (!this.#values.isOver) return;
    this.#state = 'between';
    this.#hasComma = false;
  }
}

/** Calls of Python; undefined for anything else. */
export function readPythonCalls(text: string): readonly ToolCall[] | undefined {
  const follower = new PythonFollower();
  follower.take(text);
  return follower.isWhole ? follower.calls : undefined;
}
