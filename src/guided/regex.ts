import { AtbError } from '../errors.js';
import {
  type CodePoints,
  characters,
  choice,
  complement,
  type Expression,
  MAX_CODE_POINT,
  NOTHING,
  repeat,
  sequence,
} from './expression.js';
import { propertyRanges } from './unicode-properties.js';

export interface RegexOptions {
  /** A match anywhere in the text is enough, as in JSON Schema; otherwise the whole text must match. */
  readonly isSearch: boolean;
  /** How one of these characters is written. As itself when absent. */
  readonly write?: (ranges: readonly CodePoints[]) => Expression;
}

const MAX_DEPTH = 100;
const MAX_LENGTH = 10_000;
/** A larger count makes more nodes than a grammar may have. */
const MAX_COUNT = 10_000;

const DIGITS: readonly CodePoints[] = [[0x30, 0x39]];
const WORD: readonly CodePoints[] = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
];
/** JavaScript's \s. */
const SPACE: readonly CodePoints[] = [
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
];
/** What a dot does not match. */
const LINE_ENDS: readonly CodePoints[] = [
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
];
const CONTROLS: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, 0: 0 };
const EVERYTHING: readonly CodePoints[] = [[0, MAX_CODE_POINT]];

/**
 * A regular expression in JavaScript's syntax (with its `u` flag) as an expression. What a grammar cannot say is refused
 * by name: assertions but for ^ and $ at the ends, and back-references. Lazy quantifiers match the same texts as greedy
 * ones.
 * @throws GUIDE_INVALID for what is no regular expression, GUIDE_UNSUPPORTED
 */
export function parseRegex(pattern: string, { isSearch, write = asItself }: RegexOptions): Expression {
  return new RegexParser(pattern, isSearch, write).parse();
}

const asItself = (ranges: readonly CodePoints[]): Expression => characters(...ranges);

type Anchors = { start: boolean; end: boolean };

class RegexParser {
  readonly #pattern: string;
  readonly #characters: readonly string[];
  readonly #isSearch: boolean;
  readonly #write: (ranges: readonly CodePoints[]) => Expression;
  #at = 0;
  #depth = 0;

  constructor(pattern: string, isSearch: boolean, write: (ranges: readonly CodePoints[]) => Expression) {
    this.#pattern = pattern;
    this.#characters = Array.from(pattern);
    this.#isSearch = isSearch;
    this.#write = write;
    if (pattern.length > MAX_LENGTH) this.#fail(`it has more than ${MAX_LENGTH} characters`);
  }

  parse(): Expression {
    const alternatives: Expression[] = [];
    do {
      const anchors: Anchors = { start: false, end: false };
      const body = this.#sequence(anchors);
      alternatives.push(this.#isSearch ? this.#search(body, anchors) : body);
    } while (this.#take('|'));
    if (this.#at < this.#characters.length) this.#fail('a parenthesis closes none');
    return choice(...alternatives);
  }

  #search(body: Expression, { start, end }: Anchors): Expression {
    const anything = repeat(this.#write(EVERYTHING), 0);
    return sequence(start ? NOTHING : anything, body, end ? NOTHING : anything);
  }

  /** `anchors` is absent inside a group, where they are refused. */
  #sequence(anchors?: Anchors): Expression {
    const items: Expression[] = [];
    for (;;) {
      const next = this.#peek();
      if (next === undefined || next === '|' || next === ')') return sequence(...items);
      if (next === '^' || next === '$') {
        this.#at++;
        const isAtEnd = this.#peek() === undefined || this.#peek() === '|';
        if (anchors !== undefined && next === '^' && items.length === 0) anchors.start = true;
        else if (anchors !== undefined && next === '$' && isAtEnd) anchors.end = true;
        else this.#refuse(`${next} inside the expression`);
        continue;
      }
      items.push(this.#quantified(this.#atom()));
    }
  }

  #atom(): Expression {
    const next = this.#next();
    if (next === '(') return this.#group();
    if (next === '[') return this.#write(this.#class());
    if (next === '.') return this.#write(complement(LINE_ENDS));
    if (next === '\\') return this.#write(this.#escape(false));
    if (next === '*' || next === '+' || next === '?' || next === '{') this.#fail(`${next} repeats nothing`);
    return this.#write([single(next)]);
  }

  #group(): Expression {
    if (this.#take('?')) {
      if (this.#take('<')) {
        if (this.#peek() === '=' || this.#peek() === '!') this.#refuse('a look-behind');
        while (this.#next() !== '>');
      } else if (!this.#take(':')) {
        this.#refuse(this.#peek() === '=' || this.#peek() === '!' ? 'a look-ahead' : 'a flag in a group');
      }
    }
    if (++this.#depth > MAX_DEPTH) this.#fail(`groups are nested more than ${MAX_DEPTH} deep`);
    const alternatives = [this.#sequence()];
    while (this.#take('|')) alternatives.push(this.#sequence());
    this.#depth--;
    if (!this.#take(')')) this.#fail('a parenthesis is not closed');
    return choice(...alternatives);
  }

  #quantified(item: Expression): Expression {
    const counts = this.#counts();
    if (counts === undefined) return item;
    this.#take('?');
    return repeat(item, ...counts);
  }

  #counts(): [min: number, max: number | undefined] | undefined {
    if (this.#take('*')) return [0, undefined];
    if (this.#take('+')) return [1, undefined];
    if (this.#take('?')) return [0, 1];
    if (this.#peek() !== '{') return undefined;
    const rest = this.#characters.slice(this.#at, this.#at + 24).join('');
    const [all, low, comma, high] = /^\{(\d+)(,?)(\d*)\}/.exec(rest) ?? [];
    if (all === undefined) return this.#fail('{ begins no count');
    this.#at += all.length;
    const min = Number(low);
    const max = comma === '' ? min : high === '' ? undefined : Number(high);
    if (min > MAX_COUNT || (max ?? 0) > MAX_COUNT) this.#fail(`it counts beyond ${MAX_COUNT}`);
    if (max !== undefined && max < min) this.#fail(`${all} counts down`);
    return [min, max];
  }

  #class(): readonly CodePoints[] {
    const isNegated = this.#take('^');
    const ranges: CodePoints[] = [];
    while (!this.#take(']')) {
      const low = this.#classAtom();
      if (this.#peek() === '-' && this.#characters[this.#at + 1] !== ']') {
        this.#at++;
        const high = this.#classAtom();
        if (low.length !== 1 || high.length !== 1) this.#fail('a range in brackets needs two characters');
        const [[first], [, last]] = [low[0] as CodePoints, high[0] as CodePoints];
        if (first > last) this.#fail('a range in brackets ends before it begins');
        ranges.push([first, last]);
      } else {
        ranges.push(...low);
      }
    }
    return isNegated ? complement(ranges) : ranges;
  }

  #classAtom(): readonly CodePoints[] {
    const next = this.#next();
    return next === '\\' ? this.#escape(true) : [single(next)];
  }

  #escape(isInClass: boolean): readonly CodePoints[] {
    const next = this.#next();
    switch (next) {
      case 'd':
        return DIGITS;
      case 'D':
        return complement(DIGITS);
      case 'w':
        return WORD;
      case 'W':
        return complement(WORD);
      case 's':
        return SPACE;
      case 'S':
        return complement(SPACE);
      case 'p':
      case 'P':
        return this.#property(next === 'P');
      case 'x':
        return [this.#hex(/^[\da-fA-F]{2}/)];
      case 'u':
        return this.#unicode();
      case 'b':
        if (isInClass) return [[8, 8]];
        return this.#refuse('\\b, a word boundary');
      case 'B':
        return this.#refuse('\\B, a word boundary');
      case 'k':
        return this.#refuse('a back-reference');
      default: {
        const control = CONTROLS[next];
        if (control !== undefined) return [[control, control]];
        if (/[1-9]/.test(next)) return this.#refuse('a back-reference');
        if (/[a-zA-Z]/.test(next)) return this.#fail(`\\${next} is no escape`);
        return [single(next)];
      }
    }
  }

  #property(isNegated: boolean): readonly CodePoints[] {
    const rest = this.#characters.slice(this.#at, this.#at + 64).join('');
    const [all, name] = /^\{([\w=]+)\}/.exec(rest) ?? [];
    const ranges = name === undefined ? undefined : propertyRanges(name);
    if (all === undefined || ranges === undefined)
      return this.#fail('\\p wants the name of a Unicode property in braces');
    this.#at += all.length;
    return isNegated ? complement(ranges) : ranges;
  }

  #unicode(): readonly CodePoints[] {
    if (this.#peek() !== '{') {
      const [high] = this.#hex(/^[\da-fA-F]{4}/);
      if (high < 0xd800 || high > 0xdfff) return [[high, high]];
      this.#take('\\');
      this.#take('u');
      const [low] = this.#hex(/^[\da-fA-F]{4}/);
      const point = String.fromCharCode(high, low).codePointAt(0) ?? 0;
      return point > 0xffff ? [[point, point]] : this.#fail('half of a surrogate pair is no character');
    }
    const [point] = this.#hex(/^\{[\da-fA-F]{1,6}\}/);
    return point <= MAX_CODE_POINT ? [[point, point]] : this.#fail('\\u names no character');
  }

  #hex(form: RegExp): CodePoints {
    const [digits] = form.exec(this.#characters.slice(this.#at, this.#at + 10).join('')) ?? [];
    if (digits === undefined) return this.#fail('hexadecimal digits are missing');
    this.#at += digits.length;
    const point = Number.parseInt(digits.replace('{', ''), 16);
    return [point, point];
  }

  #peek(): string | undefined {
    return this.#characters[this.#at];
  }

  #take(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at++;
    return true;
  }

  #next(): string {
    return this.#characters[this.#at++] ?? this.#fail('it ends too early');
  }

  #fail(problem: string): never {
    throw new AtbError('GUIDE_INVALID', { what: `regular expression ${this.#shown()}`, problem });
  }

  #refuse(found: string): never {
    throw new AtbError('GUIDE_UNSUPPORTED', { what: `regular expression ${this.#shown()}`, found });
  }

  #shown(): string {
    return `/${this.#pattern.length > 80 ? `${this.#pattern.slice(0, 80)}…` : this.#pattern}/`;
  }
}

function single(character: string): CodePoints {
  const point = character.codePointAt(0) as number;
  return [point, point];
}
