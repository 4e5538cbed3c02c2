import { TemplateSyntaxError } from './values.js';
import { isSpace, SPACE, trimEnd } from './white-space.js';

export type TokenType =
  | 'data'
  | 'block_begin'
  | 'block_end'
  | 'variable_begin'
  | 'variable_end'
  | 'name'
  | 'string'
  | 'integer'
  | 'float'
  | 'operator'
  | 'eof';

export interface Token {
  readonly type: TokenType;
  /** A name, an operator, a text with its escapes resolved, the digits of a number. */
  readonly value: string;
  readonly line: number;
}

const WHITESPACE = new RegExp(`${SPACE}+`, 'y');
const FLOAT = /(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?e[+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/iy;
const INTEGER = /0b(?:_?[0-1])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy;
const NAME = /[\p{L}\p{N}\p{M}\p{Pc}]+/uy;
const IDENTIFIER = /^[\p{XID_Start}_]\p{XID_Continue}*$/u;
const STRING = /'(?:[^'\\]|\\[\s\S])*'|"(?:[^"\\]|\\[\s\S])*"/y;
const OPERATOR = /\/\/|\*\*|==|!=|>=|<=|[+\-/*%~[\](){}><=.:|,;]/y;
const CLOSING: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };

/**
 * Cuts a template into tokens as Jinja does with `trim_blocks` and `lstrip_blocks`: line ends become "\n", one at the
 * very end is dropped, a tag alone on its line leaves no line behind.
 * @throws TemplateSyntaxError
 */
export function tokenize(template: string): Token[] {
  return new Lexer(template.replace(/\r\n?/g, '\n').replace(/\n$/, '')).run();
}

class Lexer {
  readonly #tokens: Token[] = [];
  #at = 0;
  #line = 1;
  #countedTo = 0;
  /** Whether the text before `#at` ends a line, or there is none. */
  #isLineStart = true;

  constructor(private readonly source: string) {}

  run(): Token[] {
    const { source } = this;
    while (this.#at < source.length) {
      const begin = this.#nextTag();
      if (begin < 0) {
        this.#push('data', source.slice(this.#at));
        this.#at = source.length;
        break;
      }
      const kind = source[begin + 1] as '{' | '%' | '#';
      const sign = '-+'.includes(source[begin + 2] ?? ' ') ? source[begin + 2] : '';
      this.#data(source.slice(this.#at, begin), sign, kind);
      this.#at = begin + 2 + (sign === '' ? 0 : 1);
      if (kind === '#') this.#comment();
      else if (kind === '%' && this.#raw()) continue;
      else this.#tag(kind === '%' ? 'block' : 'variable');
    }
    this.#push('eof', '');
    return this.#tokens;
  }

  #nextTag(): number {
    for (let at = this.source.indexOf('{', this.#at); at >= 0; at = this.source.indexOf('{', at + 1)) {
      if ('{%#'.includes(this.source[at + 1] ?? ' ')) return at;
    }
    return -1;
  }

  /** The text before a tag, with the white space that the tag takes away. */
  #data(text: string, sign: string | undefined, kind: '{' | '%' | '#'): void {
    let kept = text;
    if (sign === '-') kept = trimEnd(text);
    else if (sign !== '+' && kind !== '{') {
      const lineStart = text.lastIndexOf('\n') + 1;
      if ((lineStart > 0 || this.#isLineStart) && isSpace(text.slice(lineStart)))
        kept = text.slice(0, lineStart);
    }
    if (kept !== '') this.#push('data', kept);
  }

  #comment(): void {
    const end = this.source.indexOf('#}', this.#at);
    if (end < 0) this.#fail('Missing end of comment tag');
    const sign = end > this.#at ? this.source[end - 1] : '';
    this.#at = end + 2;
    this.#afterBlock(sign === '-' || sign === '+' ? sign : '');
  }

  /** `{% raw %}`: everything up to `{% endraw %}` is text. False when this tag is another one. */
  #raw(): boolean {
    const begin = new RegExp(`${SPACE}*raw${SPACE}*(?:-%\\}${SPACE}*|%\\})`, 'y');
    begin.lastIndex = this.#at;
    if (!begin.test(this.source)) return false;
    const start = begin.lastIndex;
    const ending = /\{%([-+]?)\s*endraw\s*([-+]?)%\}/g;
    ending.lastIndex = start;
    const end = ending.exec(this.source);
    if (end === null) return this.#fail('Missing end of raw directive');
    this.#isLineStart = this.source[start - 1] === '\n';
    this.#data(this.source.slice(start, end.index), end[1], '%');
    this.#at = ending.lastIndex;
    this.#afterBlock(end[2] ?? '');
    return true;
  }

  #tag(kind: 'block' | 'variable'): void {
    this.#push(`${kind}_begin`, '');
    const end = kind === 'block' ? /([-+]?)%\}/y : /(-?)\}\}/y;
    const open: string[] = [];
    for (;;) {
      this.#match(WHITESPACE);
      end.lastIndex = this.#at;
      const found = open.length === 0 ? end.exec(this.source) : null;
      if (found !== null) {
        this.#push(`${kind}_end`, '');
        this.#at = end.lastIndex;
        if (kind === 'block') this.#afterBlock(found[1] ?? '');
        else {
          this.#isLineStart = false;
          if (found[1] === '-') this.#skipSpace();
        }
        return;
      }
      this.#token(open);
    }
  }

  #token(open: string[]): void {
    const start = this.#at;
    const [type, value] = this.#scan(open);
    this.#push(type, value, start);
  }

  #scan(open: string[]): readonly [TokenType, string] {
    // "a.1.2" is not the float 1.2.
    const float = this.source[this.#at - 1] === '.' ? undefined : this.#match(FLOAT);
    if (float !== undefined) return ['float', float.replaceAll('_', '')];
    const integer = this.#match(INTEGER);
    if (integer !== undefined) return ['integer', integer.replaceAll('_', '')];
    const name = this.#match(NAME);
    if (name !== undefined) {
      if (!IDENTIFIER.test(name)) this.#fail(`Invalid character in identifier ${name}`);
      return ['name', name];
    }
    const text = this.#match(STRING);
    if (text !== undefined) return ['string', resolveEscapes(text.slice(1, -1))];
    const operator = this.#match(OPERATOR);
    if (operator === undefined) {
      const found = this.source.slice(this.#at, this.#at + 1);
      return this.#fail(found === '' ? 'unexpected end of template' : `unexpected char '${found}'`);
    }
    if (operator in CLOSING) open.push(CLOSING[operator] as string);
    else if (')]}'.includes(operator) && open.pop() !== operator) this.#fail(`unexpected '${operator}'`);
    return ['operator', operator];
  }

  /** After `%}` and `#}`: the rest of the line, unless a "+" keeps it, and with "-" all white space. */
  #afterBlock(sign: string): void {
    const start = this.#at;
    if (sign === '-') this.#skipSpace();
    else if (sign !== '+' && this.source[this.#at] === '\n') this.#at++;
    this.#isLineStart = this.#at > start && this.source[this.#at - 1] === '\n';
  }

  #skipSpace(): void {
    const text = this.#match(WHITESPACE);
    this.#isLineStart = text?.endsWith('\n') ?? false;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.source)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #push(type: TokenType, value: string, at = this.#at): void {
    for (; this.#countedTo < at; this.#countedTo++) if (this.source[this.#countedTo] === '\n') this.#line++;
    this.#tokens.push({ type, value, line: this.#line });
  }

  #fail(message: string): never {
    throw new TemplateSyntaxError(`${message}, at line ${this.source.slice(0, this.#at).split('\n').length}`);
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\n': '',
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** A string literal's escapes, as Python reads them; an unknown one stays as it is. */
function resolveEscapes(text: string): string {
  const pattern = /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{1,3})|([\s\S]))/g;
  return text.replace(pattern, (whole, byte, short, long, octal, one: string | undefined) => {
    const hex: string | undefined = byte ?? short ?? long;
    if (hex !== undefined) {
      const code = Number.parseInt(hex, 16);
      if (code > 0x10ffff) throw new TemplateSyntaxError('illegal Unicode character');
      return String.fromCodePoint(code);
    }
    if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
    if (one !== undefined && 'xuU'.includes(one)) throw new TemplateSyntaxError(`truncated \\${one} escape`);
    return ESCAPES[one ?? ''] ?? whole;
  });
}
