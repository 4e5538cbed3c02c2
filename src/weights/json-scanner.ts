import { describeValue } from '../describe-value.js';
import { AtbError } from '../errors.js';

export type JsonKind = 'object' | 'array' | 'string' | 'number' | 'literal';

export interface JsonLimits {
  /** How deep objects and arrays may be nested. */
  readonly depth: number;
  /** How many members an object, or items an array, may have. */
  readonly entries: number;
  /** Python writes NaN, Infinity and -Infinity, which JSON lacks. */
  readonly isPython?: boolean;
}

const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;
const COLON = 0x3a;
const BACKSLASH = 0x5c;

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
/** Messages show at most so many characters of a number. */
const LONGEST_NUMBER = 64;
const LITERALS: readonly string[] = ['true', 'false', 'null'];
const FEW_KEYS = 8;
/** Integers of up to 15 digits are below 2^53, so JavaScript holds them exactly. */
const EXACT_DIGITS = 15;

// Without ignoreBOM, a decoder would drop a byte-order mark at the start of a string, and two keys could become one.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads JSON of a known form out of untrusted bytes, left to right. Stricter than JSON.parse: duplicate keys, deep
 * nesting, long lists, lone surrogates and ill-formed UTF-8 are errors (WEIGHT_FILE_JSON, _UTF8, _DUPLICATE_KEY,
 * _TOO_DEEP, _TOO_MANY), and an integer is exact or not a number at all. Nothing is allocated that the caller does not
 * ask for, and keys never become properties of an object.
 */
export class JsonScanner {
  private depth = 0;

  constructor(
    private readonly file: string,
    private readonly bytes: Buffer,
    /** The next byte to read; the text ends with `bytes`. */
    private at: number,
    private readonly limits: JsonLimits,
  ) {}

  get position(): number {
    return this.at;
  }

  /** The kind of the value that comes next. */
  kind(): JsonKind {
    this.skipSpace();
    const byte = this.bytes[this.at];
    switch (byte) {
      case 0x7b:
        return 'object';
      case 0x5b:
        return 'array';
      case QUOTE:
        return 'string';
      case 0x74:
      case 0x66:
      case 0x6e:
        return 'literal';
      case 0x4e:
      case 0x49:
        if (this.limits.isPython) return 'literal';
        throw this.unexpected('a value');
      case 0x2d:
        return this.limits.isPython && this.bytes[this.at + 1] === 0x49 ? 'literal' : 'number';
      default:
        if (byte !== undefined && isDigit(byte)) return 'number';
        throw this.unexpected('a value');
    }
  }

  /** Reads an object; `onMember` must read the member's value. `start` is the position of the key's quote. */
  object(onMember: (key: string, start: number) => void): void {
    // Most objects have three members: a set costs more than it saves until there are many.
    let seen: string[] | Set<string> = [];
    this.container('{', '}', () => {
      this.skipSpace();
      const start = this.at;
      const key = this.string();
      const known = Array.isArray(seen) ? seen.includes(key) : seen.has(key);
      if (known) throw new AtbError('WEIGHT_FILE_DUPLICATE_KEY', { file: this.file, key });
      if (!Array.isArray(seen)) seen.add(key);
      else if (seen.push(key) > FEW_KEYS) seen = new Set(seen);
      this.expect(COLON);
      onMember(key, start);
    });
  }

  /** Reads an array; `onItem` must read the item. */
  array(onItem: (index: number) => void): void {
    this.container('[', ']', onItem);
  }

  string(): string {
    this.expect(QUOTE);
    const start = this.at;
    let plain = true;
    let at = start;
    for (; ; at++) {
      const byte = this.bytes[at] ?? 0;
      if (byte === QUOTE) break;
      if (byte < SPACE) {
        this.at = at;
        throw this.unexpected('a closing quote');
      }
      if (byte === BACKSLASH) {
        plain = false;
        at++;
      } else if (byte >= 0x80) {
        plain = false;
      }
    }
    this.at = at + 1;
    return plain ? this.bytes.toString('latin1', start, at) : this.decode(start, at);
  }

  /** The next number when it is an integer in [0, 2^53), else its text, cut to 64 characters. */
  integer(): number | string {
    this.skipSpace();
    const start = this.at;
    let value = 0;
    let at = start;
    for (; ; at++) {
      const byte = this.bytes[at] ?? 0;
      if (!isDigit(byte)) break;
      value = value * 10 + (byte - DIGIT_0);
    }
    const digits = at - start;
    const leadingZero = digits > 1 && this.bytes[start] === DIGIT_0;
    const complete = !isNumberByte(this.bytes[at] ?? 0);
    if (digits > 0 && digits <= EXACT_DIGITS && !leadingZero && complete) {
      this.at = at;
      return value;
    }
    const text = this.number();
    const exact = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    return Number.isSafeInteger(exact) ? exact : text;
  }

  /** Reads past a value that nobody needs, within the limits, and describes it for a message. */
  skip(): string {
    const kind = this.kind();
    switch (kind) {
      case 'object':
        this.object(() => this.skip());
        return 'an object';
      case 'array':
        this.array(() => this.skip());
        return 'a list';
      case 'string':
        return describeValue(this.string());
      case 'number':
        return this.number();
      case 'literal':
        return this.literal();
    }
  }

  /** Throws unless only white space is left. */
  finish(): void {
    this.skipSpace();
    if (this.at < this.bytes.length) throw this.unexpected('the end');
  }

  private container(open: '{' | '[', close: '}' | ']', onEntry: (index: number) => void): void {
    this.expect(open.charCodeAt(0));
    if (++this.depth > this.limits.depth) {
      throw new AtbError('WEIGHT_FILE_TOO_DEEP', { file: this.file, limit: this.limits.depth });
    }
    const closing = close.charCodeAt(0);
    if (!this.take(closing)) {
      let count = 0;
      do {
        if (count >= this.limits.entries) {
          throw new AtbError('WEIGHT_FILE_TOO_MANY', { file: this.file, limit: this.limits.entries });
        }
        onEntry(count++);
      } while (this.take(COMMA));
      this.expect(closing);
    }
    this.depth--;
  }

  /** A string with escapes or with characters beyond ASCII. */
  private decode(start: number, end: number): string {
    let text: string;
    try {
      text = utf8.decode(this.bytes.subarray(start, end));
    } catch {
      throw new AtbError('WEIGHT_FILE_UTF8', { file: this.file, byte: start });
    }
    let value: string;
    try {
      value = JSON.parse(`"${text}"`) as string;
    } catch {
      throw this.malformed(start, 'a valid escape', describeValue(text));
    }
    if (/\p{Surrogate}/u.test(value)) throw this.malformed(start, 'paired surrogates', describeValue(value));
    return value;
  }

  private number(): string {
    const start = this.at;
    while (isNumberByte(this.bytes[this.at] ?? 0)) this.at++;
    const text = this.bytes.toString('latin1', start, this.at);
    if (!NUMBER.test(text))
      throw this.malformed(start, 'a number', describeValue(text.slice(0, LONGEST_NUMBER)));
    return text.length > LONGEST_NUMBER ? `${text.slice(0, LONGEST_NUMBER)}...` : text;
  }

  private literal(): string {
    const start = this.at;
    const words = this.limits.isPython ? [...LITERALS, 'NaN', 'Infinity', '-Infinity'] : LITERALS;
    const text = words.find((word) => this.bytes.toString('latin1', start, start + word.length) === word);
    if (text === undefined) throw this.unexpected('a value');
    this.at += text.length;
    return text;
  }

  private skipSpace(): void {
    for (; ; this.at++) {
      const byte = this.bytes[this.at];
      if (byte !== SPACE && byte !== LINE_FEED && byte !== TAB && byte !== CARRIAGE_RETURN) return;
    }
  }

  private take(byte: number): boolean {
    this.skipSpace();
    if (this.bytes[this.at] !== byte) return false;
    this.at++;
    return true;
  }

  private expect(byte: number): void {
    if (!this.take(byte)) throw this.unexpected(`"${String.fromCharCode(byte)}"`);
  }

  private unexpected(expected: string): AtbError {
    const byte = this.bytes[this.at];
    return this.malformed(this.at, expected, byte === undefined ? 'the end' : describeByte(byte));
  }

  /** `found` is ready to print. */
  private malformed(byte: number, expected: string, found: string): AtbError {
    return new AtbError('WEIGHT_FILE_JSON', { file: this.file, byte, expected, found });
  }
}

/** A byte of a text as a message shows it. */
export function describeByte(byte: number): string {
  return byte > SPACE && byte < 0x7f
    ? `"${String.fromCharCode(byte)}"`
    : `byte 0x${byte.toString(16).padStart(2, '0')}`;
}

function isDigit(byte: number): boolean {
  return byte >= DIGIT_0 && byte <= DIGIT_9;
}

/** Digits, sign, point and exponent. */
function isNumberByte(byte: number): boolean {
  return isDigit(byte) || byte === 0x2d || byte === 0x2b || byte === 0x2e || byte === 0x65 || byte === 0x45;
}
