import { TemplateExcess } from './budget.js';
import type { Token, TokenType } from './lexer.js';
import { TemplateSyntaxError } from './values.js';

/** Lists, calls and blocks inside one another; deeper ones would overflow the stack. */
const MAX_DEPTH = 100;

/** The tokens of a template, with the one that is looked at. */
export class TokenStream {
  #at = 0;
  #depth = 0;

  constructor(private readonly tokens: readonly Token[]) {}

  get current(): Token {
    return this.tokens[this.#at] as Token;
  }

  get next(): Token {
    return this.tokens[Math.min(this.#at + 1, this.tokens.length - 1)] as Token;
  }

  is(type: TokenType, ...values: readonly string[]): boolean {
    return this.current.type === type && (values.length === 0 || values.includes(this.current.value));
  }

  take(): Token {
    const { current } = this;
    if (current.type !== 'eof') this.#at++;
    return current;
  }

  /** Takes the token if it is this one. */
  skip(type: TokenType, ...values: readonly string[]): boolean {
    const found = this.is(type, ...values);
    if (found) this.take();
    return found;
  }

  expect(type: TokenType, ...values: readonly string[]): Token {
    if (!this.is(type, ...values)) this.fail(`expected ${values.join(' or ') || type}, got ${this.#found()}`);
    return this.take();
  }

  unexpected(): never {
    return this.fail(`unexpected ${this.#found()}`);
  }

  fail(message: string): never {
    throw new TemplateSyntaxError(`${message}, at line ${this.current.line}`);
  }

  /** Parses something one level deeper. */
  nested<T>(parse: () => T): T {
    if (++this.#depth > MAX_DEPTH) throw new TemplateExcess('levels of nesting', MAX_DEPTH);
    const parsed = parse();
    this.#depth--;
    return parsed;
  }

  #found(): string {
    const { type, value } = this.current;
    return type === 'eof' ? 'the end of the template' : value === '' ? type.replace('_', ' ') : `'${value}'`;
  }
}
