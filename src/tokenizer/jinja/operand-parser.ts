import { type ArgumentList, type Expression, NO_ARGUMENTS } from './nodes.js';
import type { TokenStream } from './token-stream.js';

const CONSTANTS: ReadonlyMap<string, null | boolean> = new Map([
  ['true', true],
  ['True', true],
  ['false', false],
  ['False', false],
  ['none', null],
  ['None', null],
]);

export interface TupleOptions {
  /** Whether `a if b` is taken; not where an "if" has a meaning of its own. */
  readonly allowsConditions?: boolean;
  /** Whether it stands in parentheses, so that it may be empty. */
  readonly isParenthesized?: boolean;
}

/** What expressions are made of: names and literals, and what follows them: dots, brackets, calls, filters. */
export abstract class OperandParser {
  constructor(protected readonly stream: TokenStream) {}

  abstract expression(allowsConditions?: boolean): Expression;
  abstract tuple(options?: TupleOptions): Expression;

  /** What may stand before a dot, a bracket or a filter. */
  primary(): Expression {
    const { stream } = this;
    const { type, value } = stream.current;
    switch (type) {
      case 'name': {
        stream.take();
        const constant = CONSTANTS.get(value);
        return constant === undefined ? { kind: 'name', name: value } : { kind: 'const', value: constant };
      }
      case 'string': {
        let text = '';
        while (stream.is('string')) text += stream.take().value;
        return { kind: 'const', value: text };
      }
      case 'integer':
        stream.take();
        return { kind: 'const', value: BigInt(value) };
      case 'float':
        stream.take();
        return { kind: 'const', value: Number(value) };
      default:
        if (stream.skip('operator', '(')) {
          const inner = this.tuple({ isParenthesized: true });
          stream.expect('operator', ')');
          return inner;
        }
        if (stream.is('operator', '[')) return { kind: 'list', items: this.#items('[', ']') };
        if (stream.is('operator', '{')) return this.#dict();
        return stream.unexpected();
    }
  }

  postfix(start: Expression): Expression {
    let node = start;
    for (;;) {
      if (this.stream.skip('operator', '.')) node = this.#dotted(node);
      else if (this.stream.is('operator', '[')) node = this.#subscript(node);
      else if (this.stream.is('operator', '(')) node = { kind: 'call', callee: node, args: this.args() };
      else return node;
    }
  }

  /** `| name(…) | …`; with `operand` undefined, the first name has no bar before it. */
  filters(operand: Expression | undefined): Expression | undefined {
    let node = operand;
    let isFirst = operand === undefined;
    while (isFirst || this.stream.skip('operator', '|')) {
      isFirst = false;
      const name = this.dottedName();
      const args = this.stream.is('operator', '(') ? this.args() : NO_ARGUMENTS;
      node = { kind: 'filter', name, operand: node, args };
    }
    return node;
  }

  args(): ArgumentList {
    const { stream } = this;
    const positional: Expression[] = [];
    const keyword: { name: string; value: Expression }[] = [];
    let spread: Expression | undefined;
    let keywordSpread: Expression | undefined;
    stream.expect('operator', '(');
    for (let isFirst = true; !stream.is('operator', ')'); isFirst = false) {
      if (!isFirst) {
        stream.expect('operator', ',');
        if (stream.is('operator', ')')) break;
      }
      if (stream.skip('operator', '*')) spread = this.expression();
      else if (stream.skip('operator', '**')) keywordSpread = this.expression();
      else if (stream.is('name') && stream.next.type === 'operator' && stream.next.value === '=') {
        const name = stream.take().value;
        stream.take();
        keyword.push({ name, value: this.expression() });
      } else {
        if (keyword.length > 0 || spread !== undefined || keywordSpread !== undefined)
          stream.fail('invalid syntax for function call expression');
        positional.push(this.expression());
      }
    }
    stream.expect('operator', ')');
    return { positional, keyword, spread, keywordSpread };
  }

  dottedName(): string {
    let name = this.stream.expect('name').value;
    while (this.stream.skip('operator', '.')) name += `.${this.stream.expect('name').value}`;
    return name;
  }

  #dotted(object: Expression): Expression {
    const { stream } = this;
    if (stream.is('name')) return { kind: 'attribute', object, name: stream.take().value };
    const { value } = stream.expect('integer');
    return { kind: 'item', object, index: { kind: 'const', value: BigInt(value) } };
  }

  #subscript(object: Expression): Expression {
    const { stream } = this;
    const indices: Expression[] = [];
    stream.expect('operator', '[');
    while (!stream.is('operator', ']')) {
      if (indices.length > 0) stream.expect('operator', ',');
      indices.push(this.#index());
    }
    stream.expect('operator', ']');
    const [first] = indices;
    const index: Expression =
      indices.length === 1 && first !== undefined ? first : { kind: 'tuple', items: indices };
    return { kind: 'item', object, index };
  }

  #index(): Expression {
    const { stream } = this;
    const bound = (): Expression | undefined =>
      stream.is('operator', ':', ']', ',') ? undefined : this.expression();
    const start = bound();
    if (!stream.skip('operator', ':')) return start ?? stream.unexpected();
    const stop = bound();
    const step = stream.skip('operator', ':') ? bound() : undefined;
    return { kind: 'slice', start, stop, step };
  }

  #items(open: string, close: string): Expression[] {
    const { stream } = this;
    const items: Expression[] = [];
    stream.expect('operator', open);
    while (!stream.is('operator', close)) {
      if (items.length > 0) stream.expect('operator', ',');
      if (stream.is('operator', close)) break;
      items.push(this.expression());
    }
    stream.expect('operator', close);
    return items;
  }

  #dict(): Expression {
    const { stream } = this;
    const entries: [Expression, Expression][] = [];
    stream.expect('operator', '{');
    while (!stream.is('operator', '}')) {
      if (entries.length > 0) stream.expect('operator', ',');
      if (stream.is('operator', '}')) break;
      const key = this.expression();
      stream.expect('operator', ':');
      entries.push([key, this.expression()]);
    }
    stream.expect('operator', '}');
    return { kind: 'dict', entries };
  }
}
