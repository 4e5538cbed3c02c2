/** Values that lie deeper in one another are none that a model writes on purpose. */
const MAX_DEPTH = 64;
const IN_NAME = /[\w.-]/;
const NAME = /^[A-Za-z_][\w.-]*$/;
const IN_NUMBER = /[\w.+-]/;
const NUMBER = /^[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const WORDS: Readonly<Record<string, string>> = {
  ...{ True: 'true', False: 'false', None: 'null' },
  ...{ true: 'true', false: 'false', null: 'null' },
};
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f', '\n': '' };
/** Digits of the escapes that spell a character by its number. */
const DIGITS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };
const LAST_CHARACTER = 0x10ffff;

/** What is written is no value of Python. */
export class NotPython extends Error {}

/** A list, a dictionary or the arguments of a call that is open. */
interface Container {
  readonly end: string;
  readonly kind: 'list' | 'dict' | 'arguments';
  hasMembers: boolean;
}

/** A string that is open. */
interface OpenString {
  readonly quote: string;
  /** Quotes that have come at its beginning; undefined once it is over: three make a long one. */
  opening: number | undefined;
  /** Quotes that end it. */
  endLen: number;
  /** Of these, how many have come. */
  quotes: number;
  /** What has come of an escape, behind its backslash. */
  escaped: string | undefined;
}

/**
 * Rewrites a value of Python as JSON, letter by letter. Words of JSON (`true`, `null`) are values, too, as models mix them.
 * Numbers are as they are written where JSON has such ones, so that long ones lose nothing.
 */
export class PythonToJson {
  readonly #open: Container[] = [];
  #string: OpenString | undefined;
  /** A number or a word, whose end only the letter behind it shows. */
  #token = '';
  /** What may come next; of a value that is over, nothing. */
  #next: 'member' | 'value' | 'mark' | 'comma' | 'nothing';
  #json = '';

  /** With `isArguments`, what stands behind the bracket that opens the arguments of a call: `a=1, b='x')`. */
  constructor({ isArguments = false } = {}) {
    this.#next = isArguments ? 'member' : 'value';
    if (isArguments) this.#begin({ end: ')', kind: 'arguments', hasMembers: false });
  }

  /** Whether the value is complete; of a number or word on its own only `end` tells. */
  get isOver(): boolean {
    return this.#next === 'nothing';
  }

  /** Whether the next letter stands within a string, or, behind two quotes, may do so. */
  get isInString(): boolean {
    return this.#string !== undefined;
  }

  /**
   * More of the JSON.
   * @throws NotPython
   */
  take(letter: string): string {
    if (this.#string !== undefined) this.#ofString(this.#string, letter);
    else if (this.#token !== '' && (isNumeric(this.#token) ? IN_NUMBER : IN_NAME).test(letter))
      this.#token += letter;
    else this.#between(letter);
    return this.#taken();
  }

  /**
   * The rest of the JSON: nothing more comes.
   * @throws NotPython where the value is not complete
   */
  end(): string {
    if (this.#string?.opening === 2) this.#close();
    if (this.#token !== '') this.#endToken();
    if (!this.isOver) throw new NotPython();
    return this.#taken();
  }

  #taken(): string {
    const json = this.#json;
    this.#json = '';
    return json;
  }

  /** Where the next thing is the key of a dictionary or the name of an argument. */
  get #isKey(): boolean {
    return this.#next === 'member' && this.#open.at(-1)?.kind !== 'list';
  }

  #between(letter: string): void {
    if (this.#token !== '') this.#endToken();
    if (letter.trim() === '') return;
    const inside = this.#open.at(-1);
    const mayEnd = this.#next === 'member' || this.#next === 'comma';
    if (inside !== undefined && letter === inside.end && mayEnd) this.#finish();
    else if (this.#next === 'comma' && letter === ',') this.#next = 'member';
    else if (this.#next === 'mark' && letter === (inside?.kind === 'dict' ? ':' : '=')) {
      this.#json += ':';
      this.#next = 'value';
    } else if (this.#next === 'member' || this.#next === 'value') this.#member(letter);
    else throw new NotPython();
  }

  #member(letter: string): void {
    const inside = this.#open.at(-1);
    if (this.#next === 'member' && inside !== undefined) {
      if (inside.hasMembers) this.#json += ',';
      inside.hasMembers = true;
    }
    if (/[\w.+-]/.test(letter)) this.#token = letter;
    else if (this.#isKey && inside?.kind === 'arguments') throw new NotPython();
    else if (letter === '"' || letter === "'") {
      this.#json += '"';
      this.#string = { quote: letter, opening: 1, endLen: 1, quotes: 0, escaped: undefined };
    } else if (this.#isKey) throw new NotPython();
    else if (letter === '[') this.#begin({ end: ']', kind: 'list', hasMembers: false });
    else if (letter === '(') this.#begin({ end: ')', kind: 'list', hasMembers: false });
    else if (letter === '{') this.#begin({ end: '}', kind: 'dict', hasMembers: false });
    else throw new NotPython();
  }

  #begin(container: Container): void {
    if (this.#open.length > MAX_DEPTH) throw new NotPython();
    this.#open.push(container);
    this.#json += container.kind === 'list' ? '[' : '{';
    this.#next = 'member';
  }

  #finish(): void {
    this.#json += this.#open.pop()?.kind === 'list' ? ']' : '}';
    this.#next = this.#open.length === 0 ? 'nothing' : 'comma';
  }

  /** A value or a key is complete. */
  #settle(): void {
    if (this.#isKey) this.#next = 'mark';
    else this.#next = this.#open.length === 0 ? 'nothing' : 'comma';
  }

  #endToken(): void {
    const token = this.#token;
    this.#token = '';
    if (this.#isKey && this.#open.at(-1)?.kind === 'arguments') {
      if (!NAME.test(token)) throw new NotPython();
      this.#json += JSON.stringify(token);
    } else {
      const value = isNumeric(token)
        ? numberOf(token)
        : Object.hasOwn(WORDS, token)
          ? WORDS[token]
          : undefined;
      if (value === undefined) throw new NotPython();
      this.#json += this.#isKey ? `"${value}"` : value;
    }
    this.#settle();
  }

  #ofString(string: OpenString, letter: string): void {
    if (string.escaped !== undefined) this.#escaped(string, string.escaped + letter);
    else if (string.opening !== undefined) this.#opens(string, string.opening, letter);
    else if (letter === string.quote) {
      if (++string.quotes === string.endLen) this.#close();
    } else {
      // Fewer quotes than end a long string belong to it.
      this.#json += inQuotes(string.quote.repeat(string.quotes));
      string.quotes = 0;
      if (letter === '\\') string.escaped = '';
      else this.#json += inQuotes(letter);
    }
  }

  #opens(string: OpenString, quotes: number, letter: string): void {
    if (letter === string.quote && quotes < 2) string.opening = quotes + 1;
    else {
      string.opening = undefined;
      if (letter === string.quote) string.endLen = 3;
      else if (quotes === 1) this.#ofString(string, letter);
      else {
        this.#close();
        this.#between(letter);
      }
    }
  }

  #close(): void {
    this.#json += '"';
    this.#string = undefined;
    this.#settle();
  }

  #escaped(string: OpenString, so: string): void {
    const kind = so[0] as string;
    const digits = DIGITS[kind];
    string.escaped = digits !== undefined && so.length <= digits ? so : undefined;
    if (string.escaped !== undefined) return;
    if (digits === undefined) {
      this.#json += inQuotes(ESCAPES[kind] ?? (/['"\\]/.test(kind) ? kind : `\\${kind}`));
      return;
    }
    const code = /^\w[\da-fA-F]+$/.test(so) ? Number.parseInt(so.slice(1), 16) : Number.NaN;
    if (!(code <= LAST_CHARACTER)) throw new NotPython();
    // Half a pair, as JSON spells it, is a unit of UTF-16.
    this.#json += inQuotes(code <= 0xffff ? String.fromCharCode(code) : String.fromCodePoint(code));
  }
}

/** A value as Python writes it, as JSON; undefined for anything else. */
export function readPythonValue(text: string): string | undefined {
  const reader = new PythonToJson();
  try {
    let json = '';
    for (const letter of text) json += reader.take(letter);
    return json + reader.end();
  } catch (error) {
    if (error instanceof NotPython) return undefined;
    throw error;
  }
}

/** As JSON has it between its quotes. */
export const inQuotes = (text: string): string => JSON.stringify(text).slice(1, -1);

const isNumeric = (token: string): boolean => /^[\d.+-]/.test(token);

function numberOf(token: string): string | undefined {
  const plain = token.replaceAll('_', '').replace(/^\+/, '');
  if (!NUMBER.test(token)) return undefined;
  return JSON_NUMBER.test(plain) ? plain : JSON.stringify(Number(plain));
}
