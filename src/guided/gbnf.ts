import { AtbError } from '../errors.js';
import {
  type CodePoints,
  characters,
  choice,
  complement,
  type Expression,
  MAX_CODE_POINT,
  type Rules,
  repeat,
  rule,
  sequence,
  text,
} from './expression.js';

const MAX_LENGTH = 1 << 18;
const MAX_DEPTH = 200;
const MAX_COUNT = 10_000;
const NAME = /[a-zA-Z_][\w-]*/y;
const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  '\\': '\\',
  '"': '"',
  '[': '[',
  ']': ']',
};

/**
 * A grammar in GBNF, as llama.cpp and xgrammar read it: `name ::= …`, texts in quotes, characters in brackets, groups,
 * `|`, `* + ? {2,5}`, `.` for any character, comments after #. The text is what `root` says. Rules may begin with
 * themselves, but not with one another in a circle.
 * @throws GUIDE_INVALID with the line
 */
export function parseGbnf(source: string): Rules {
  return new GbnfParser(source).parse();
}

class GbnfParser {
  readonly #source: string;
  #at = 0;
  #depth = 0;

  constructor(source: string) {
    this.#source = source;
    if (source.length > MAX_LENGTH) this.#fail(`it has more than ${MAX_LENGTH} characters`);
  }

  parse(): Rules {
    const rules = new Map<string, Expression>();
    for (this.#skip(true); this.#at < this.#source.length; this.#skip(true)) {
      const name = this.#name() ?? this.#fail('a rule begins with its name');
      this.#skip(true);
      if (!this.#take('::=')) this.#fail(`::= must follow ${name}`);
      if (rules.has(name)) this.#fail(`${name} is there twice`);
      this.#skip(true);
      rules.set(name, this.#alternatives(false));
      if (this.#at < this.#source.length && !/[\r\n]/.test(this.#source[this.#at] ?? ''))
        this.#fail(`${JSON.stringify(this.#source[this.#at])} is out of place`);
    }
    if (!rules.has('root')) this.#fail('there is no rule root');
    return { root: 'root', rules };
  }

  /** Inside parentheses, lines may end anywhere. */
  #alternatives(isInGroup: boolean): Expression {
    if (++this.#depth > MAX_DEPTH) this.#fail(`groups are nested more than ${MAX_DEPTH} deep`);
    const found = [this.#sequence(isInGroup)];
    while (this.#takeBar(isInGroup)) {
      this.#skip(true);
      found.push(this.#sequence(isInGroup));
    }
    this.#depth--;
    return choice(...found);
  }

  /** An alternative may also begin on the next line. */
  #takeBar(isInGroup: boolean): boolean {
    const before = this.#at;
    this.#skip(true);
    if (this.#take('|')) return true;
    if (!isInGroup) this.#at = before;
    return false;
  }

  #sequence(isInGroup: boolean): Expression {
    const items: Expression[] = [];
    for (;;) {
      const item = this.#item();
      if (item === undefined) return sequence(...items);
      items.push(this.#quantified(item));
      this.#skip(isInGroup);
    }
  }

  #item(): Expression | undefined {
    if (this.#take('"')) return this.#text();
    if (this.#take('[')) return this.#class();
    if (this.#take('.')) return characters([0, MAX_CODE_POINT]);
    if (this.#take('(')) {
      this.#skip(true);
      const group = this.#alternatives(true);
      this.#skip(true);
      return this.#take(')') ? group : this.#fail('a parenthesis is not closed');
    }
    const name = this.#name();
    return name === undefined ? undefined : rule(name);
  }

  #quantified(item: Expression): Expression {
    let quantified = item;
    for (;;) {
      if (this.#take('*')) quantified = repeat(quantified, 0);
      else if (this.#take('+')) quantified = repeat(quantified, 1);
      else if (this.#take('?')) quantified = repeat(quantified, 0, 1);
      else if (this.#source[this.#at] === '{') quantified = this.#counted(quantified);
      else return quantified;
    }
  }

  #counted(item: Expression): Expression {
    const [all, low, comma, high] =
      /^\{\s*(\d+)\s*(,?)\s*(\d*)\s*\}/.exec(this.#source.slice(this.#at, this.#at + 40)) ?? [];
    if (all === undefined) return this.#fail('{ begins no count');
    this.#at += all.length;
    const min = Number(low);
    const max = comma === '' ? min : high === '' ? undefined : Number(high);
    if (min > MAX_COUNT || (max ?? 0) > MAX_COUNT || (max !== undefined && max < min))
      this.#fail(`${all} must count up, to at most ${MAX_COUNT}`);
    return repeat(item, min, max);
  }

  #text(): Expression {
    let content = '';
    while (!this.#take('"')) content += String.fromCodePoint(this.#character());
    return text(content);
  }

  #class(): Expression {
    const isNegated = this.#take('^');
    const ranges: CodePoints[] = [];
    while (!this.#take(']')) {
      const first = this.#character();
      const isRange = this.#source[this.#at] === '-' && this.#source[this.#at + 1] !== ']';
      if (isRange) this.#at++;
      const last = isRange ? this.#character() : first;
      if (last < first) this.#fail('a range in brackets ends before it begins');
      ranges.push([first, last]);
    }
    return characters(...(isNegated ? complement(ranges) : ranges));
  }

  #character(): number {
    const point = this.#source.codePointAt(this.#at);
    if (point === undefined || point === 10) return this.#fail('a text or a bracket is not closed');
    this.#at += point > 0xffff ? 2 : 1;
    if (point !== 0x5c) return point;
    const letter = this.#source[this.#at++] ?? '';
    const digits = { x: 2, u: 4, U: 8 }[letter];
    if (digits === undefined) {
      const escaped = ESCAPES[letter] ?? (/[a-zA-Z0-9]/.test(letter) ? undefined : letter);
      return escaped?.codePointAt(0) ?? this.#fail(`\\${letter} is no escape`);
    }
    const hex = this.#source.slice(this.#at, this.#at + digits);
    this.#at += digits;
    const value = new RegExp(`^[\\da-fA-F]{${digits}}$`).test(hex) ? Number.parseInt(hex, 16) : Number.NaN;
    const isCharacter = value <= MAX_CODE_POINT && (value < 0xd800 || value > 0xdfff);
    return isCharacter ? value : this.#fail(`\\${letter}${hex} names no character`);
  }

  #name(): string | undefined {
    NAME.lastIndex = this.#at;
    const [name] = NAME.exec(this.#source) ?? [];
    if (name === undefined) return undefined;
    this.#at += name.length;
    return name;
  }

  #take(token: string): boolean {
    if (!this.#source.startsWith(token, this.#at)) return false;
    this.#at += token.length;
    return true;
  }

  /** Blanks and comments, and the ends of lines where they mean nothing. */
  #skip(withLines: boolean): void {
    const blank = withLines ? /(?:\s|#[^\n]*)*/y : /(?:[^\S\r\n]|#[^\n]*)*/y;
    blank.lastIndex = this.#at;
    this.#at += blank.exec(this.#source)?.[0].length ?? 0;
  }

  #fail(problem: string): never {
    const line = this.#source.slice(0, this.#at).split('\n').length;
    throw new AtbError('GUIDE_INVALID', { what: `grammar, line ${line}`, problem });
  }
}
