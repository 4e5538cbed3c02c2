import { isTextOnly, looseJson, type ToolParameters } from './argument-types.js';
import { Follower } from './call-follower.js';
import { inQuotes } from './python-json.js';

/** How a format without JSON marks what belongs to a call. Each pattern matches at the end of what has come. */
export interface PairMarks {
  /** What a call begins with; its group is the name. */
  readonly head: RegExp;
  /** What an argument begins with; its group is the key. */
  readonly argument: RegExp;
  /** What its value ends with, whose break of line before it, as one behind the beginning, belongs to the marks. */
  readonly valueEnd: string;
  readonly trimsLines: boolean;
  /** What a call ends with; absent where that is the end of the body. */
  readonly end?: string;
}

/** What stands between values, which is looked through at each possible end, is no call where it is longer. */
const LONGEST_MARK = 4096;

/** Calls whose arguments are pairs of a key and a value without quotes: texts are told as they come, others when they are whole. */
export class PairsFollower extends Follower {
  readonly #marks: PairMarks;
  readonly #parameters: ToolParameters;
  #state: 'between' | 'members' | 'value' | 'off' = 'between';
  /** What has come since the latest mark and was not told. */
  #pending = '';
  #name = '';
  #key = '';
  #hasMembers = false;
  /** Of the value: a text, so that each letter is certain. */
  #isText = false;
  #isAtStart = false;

  constructor(marks: PairMarks, parameters: ToolParameters) {
    super();
    this.#marks = marks;
    this.#parameters = parameters;
  }

  protected follow(letter: string): void {
    if (this.#state === 'off') return;
    this.#pending += letter;
    // Every mark ends with this.
    const mayEnd = letter === '>';
    if (this.#state === 'value') {
      if (mayEnd || this.#isText) this.#value();
    } else if (this.#pending.length > LONGEST_MARK) this.#state = 'off';
    else if (mayEnd) this.#mark();
  }

  protected override finish(): void {
    if (this.#state === 'members' && this.#marks.end === undefined) this.#close();
  }

  #mark(): void {
    const { head, argument, end } = this.#marks;
    if (this.#state === 'between') {
      const [mark, name] = head.exec(this.#pending) ?? [];
      if (name === undefined) return;
      this.start(name);
      this.add('{');
      this.#name = name;
      this.#hasMembers = false;
      this.#state = 'members';
      // A mark of an argument may be what told that the name is over.
      if (argument.test(mark as string)) this.#mark();
      else this.#pending = '';
      return;
    }
    const key = argument.exec(this.#pending)?.[1];
    if (key !== undefined) this.#open(key.trim());
    else if (end !== undefined && this.#pending.endsWith(end)) this.#close();
  }

  #open(key: string): void {
    this.#key = key;
    this.#isText = isTextOnly(this.#name, key, this.#parameters);
    this.#isAtStart = true;
    this.#state = 'value';
    this.#pending = '';
    this.add(`${this.#hasMembers ? ',' : ''}${JSON.stringify(key)}:${this.#isText ? '"' : ''}`);
    this.#hasMembers = true;
  }

  #close(): void {
    this.add('}');
    this.#state = 'between';
    this.#pending = '';
  }

  #value(): void {
    const { valueEnd, trimsLines } = this.#marks;
    const isOver = this.#pending.endsWith(valueEnd);
    if (!isOver && !this.#isText) return;
    if (this.#isAtStart && this.#pending !== '') {
      if (trimsLines && this.#pending.startsWith('\n')) this.#pending = this.#pending.slice(1);
      this.#isAtStart = false;
    }
    if (!isOver) {
      this.#tellText(this.#pending.length - this.#heldBack());
      return;
    }
    const whole = this.#pending.slice(0, -valueEnd.length);
    const value = trimsLines && whole.endsWith('\n') ? whole.slice(0, -1) : whole;
    if (this.#isText) this.add(`${inQuotes(value)}"`);
    else this.add(looseJson(value, this.#name, this.#key, this.#parameters));
    this.#state = 'members';
    this.#pending = '';
  }

  #tellText(length: number): void {
    this.add(inQuotes(this.#pending.slice(0, length)));
    this.#pending = this.#pending.slice(length);
  }

  /** How much of what is pending may be the end of the value. */
  #heldBack(): number {
    const { valueEnd, trimsLines } = this.#marks;
    const mark = trimsLines ? `\n${valueEnd}` : valueEnd;
    for (let length = Math.min(this.#pending.length, mark.length - 1); length > 0; length--) {
      const tail = this.#pending.slice(-length);
      if (mark.startsWith(tail) || valueEnd.startsWith(tail)) return length;
    }
    return 0;
  }
}
