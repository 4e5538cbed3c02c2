import type { ToolCall } from './answer-event.js';

/** Values that lie deeper in one another are none that a model writes on purpose. */
const MAX_DEPTH = 64;
const NAME = /[A-Za-z_][\w.-]*/y;
const NUMBER = /[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y;
const SPACE = /\s*/y;
const WORDS: Readonly<Record<string, unknown>> = {
  ...{ True: true, False: false, None: null },
  ...{ true: true, false: false, null: null },
};
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f', '\n': '' };

/**
 * Calls as Python writes them: `f(a=1, b=['x', None])`, one on a line, or several in a list. Undefined for anything else.
 * Words of JSON (`true`, `null`) are values, too, as models mix them.
 */
export function readPythonCalls(text: string): readonly ToolCall[] | undefined {
  try {
    return new Reader(text).calls();
  } catch (error) {
    if (error instanceof NotPython) return undefined;
    throw error;
  }
}

/** A value as Python writes it, in a list of one; undefined for anything else. */
export function readPythonValue(text: string): readonly [value: unknown] | undefined {
  try {
    return [new Reader(text).whole()];
  } catch (error) {
    if (error instanceof NotPython) return undefined;
    throw error;
  }
}

class NotPython extends Error {}

class Reader {
  #at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  calls(): ToolCall[] {
    const isList = this.#takes('[');
    const calls = [this.#call()];
    while (!(isList && this.#peek() === ']') && this.#peek() !== '') {
      if (isList) this.#expect(',');
      else this.#takes(',');
      if (isList && this.#peek() === ']') break;
      calls.push(this.#call());
    }
    if (isList) this.#expect(']');
    if (this.#peek() !== '') throw new NotPython();
    return calls;
  }

  whole(): unknown {
    const value = this.#value(0);
    if (this.#peek() !== '') throw new NotPython();
    return value;
  }

  #call(): ToolCall {
    const name = this.#match(NAME);
    this.#expect('(');
    const args = this.#members(')', () => {
      const key = this.#match(NAME);
      this.#expect('=');
      return [key, this.#value(0)];
    });
    return { name, arguments: JSON.stringify(Object.fromEntries(args)) };
  }

  #value(depth: number): unknown {
    if (depth > MAX_DEPTH) throw new NotPython();
    const first = this.#peek();
    if (first === '"' || first === "'") return this.#string(first);
    if (first === '[') return this.#list('[', ']', depth);
    if (first === '(') return this.#list('(', ')', depth);
    if (first === '{') {
      this.#expect('{');
      const members = this.#members('}', () => {
        const key = this.#value(depth + 1);
        this.#expect(':');
        return [String(key), this.#value(depth + 1)];
      });
      return Object.fromEntries(members);
    }
    if (/[\d.+-]/.test(first)) return Number(this.#match(NUMBER).replaceAll('_', ''));
    const word = this.#match(NAME);
    if (!Object.hasOwn(WORDS, word)) throw new NotPython();
    return WORDS[word];
  }

  #list(begin: string, end: string, depth: number): unknown[] {
    this.#expect(begin);
    return this.#members(end, () => this.#value(depth + 1));
  }

  /** What stands between commas, the last of which may end it, too. */
  #members<T>(end: string, read: () => T): T[] {
    const members: T[] = [];
    while (!this.#takes(end)) {
      members.push(read());
      if (!this.#takes(',') && this.#peek() !== end) throw new NotPython();
    }
    return members;
  }

  #string(quote: string): string {
    const isLong = this.#text.startsWith(quote.repeat(3), this.#at);
    const end = isLong ? quote.repeat(3) : quote;
    let text = '';
    for (this.#at += end.length; !this.#text.startsWith(end, this.#at); this.#at++) {
      const letter = this.#text[this.#at];
      if (letter === undefined) throw new NotPython();
      text += letter === '\\' ? this.#escaped() : letter;
    }
    this.#at += end.length;
    return text;
  }

  #escaped(): string {
    const letter = this.#text[++this.#at] ?? '';
    const length = { x: 2, u: 4, U: 8 }[letter];
    if (length === undefined) return ESCAPES[letter] ?? (/['"\\]/.test(letter) ? letter : `\\${letter}`);
    const code = Number.parseInt(this.#text.slice(this.#at + 1, this.#at + 1 + length), 16);
    if (!(code <= 0x10ffff)) throw new NotPython();
    this.#at += length;
    // Half a pair, as JSON spells it, is a unit of UTF-16.
    return code <= 0xffff ? String.fromCharCode(code) : String.fromCodePoint(code);
  }

  /** The next character but white space; nothing at the end. */
  #peek(): string {
    this.#skip(SPACE);
    return this.#text[this.#at] ?? '';
  }

  #takes(letter: string): boolean {
    if (this.#peek() !== letter) return false;
    this.#at++;
    return true;
  }

  #expect(letter: string): void {
    if (!this.#takes(letter)) throw new NotPython();
  }

  #match(pattern: RegExp): string {
    this.#peek();
    const found = this.#skip(pattern);
    if (found === '') throw new NotPython();
    return found;
  }

  #skip(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const [found = ''] = pattern.exec(this.#text) ?? [];
    this.#at += found.length;
    return found;
  }
}
