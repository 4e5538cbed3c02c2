import { type BinaryOperator, type CompareOperator, type Expression, NO_ARGUMENTS } from './nodes.js';
import { OperandParser, type TupleOptions } from './operand-parser.js';

const COMPARISONS = ['==', '!=', '<', '<=', '>', '>='] as const;
/** Jinja's expressions, by precedence from `if` down to names. */
export class ExpressionParser extends OperandParser {
  expression(allowsConditions = true): Expression {
    return this.stream.nested(() => (allowsConditions ? this.#condition() : this.#or()));
  }

  /** An expression, or several with commas: a tuple. */
  tuple({ allowsConditions = true, isParenthesized = false }: TupleOptions = {}): Expression {
    const { stream } = this;
    const items: Expression[] = [];
    let isTuple = false;
    while (!this.#endsTuple()) {
      items.push(this.expression(allowsConditions));
      if (!stream.skip('operator', ',')) break;
      isTuple = true;
    }
    if (!isTuple) {
      const [only] = items;
      if (only !== undefined) return only;
      if (!isParenthesized) return stream.fail('Expected an expression');
    }
    return { kind: 'tuple', items };
  }

  #endsTuple(): boolean {
    const { stream } = this;
    return stream.is('variable_end') || stream.is('block_end') || stream.is('operator', ')');
  }

  #condition(): Expression {
    let node = this.#or();
    while (this.stream.skip('name', 'if')) {
      const test = this.#or();
      const otherwise = this.stream.skip('name', 'else') ? this.expression() : undefined;
      node = { kind: 'if', test, value: node, otherwise };
    }
    return node;
  }

  #or(): Expression {
    let left = this.#and();
    while (this.stream.skip('name', 'or')) left = { kind: 'or', left, right: this.#and() };
    return left;
  }

  #and(): Expression {
    let left = this.#not();
    while (this.stream.skip('name', 'and')) left = { kind: 'and', left, right: this.#not() };
    return left;
  }

  #not(): Expression {
    if (!this.stream.skip('name', 'not')) return this.#compare();
    return { kind: 'not', operand: this.stream.nested(() => this.#not()) };
  }

  #compare(): Expression {
    const { stream } = this;
    const first = this.#sum();
    const rest: { operator: CompareOperator; operand: Expression }[] = [];
    for (;;) {
      const symbol = COMPARISONS.find((comparison) => stream.skip('operator', comparison));
      if (symbol !== undefined) rest.push({ operator: symbol, operand: this.#sum() });
      else if (stream.skip('name', 'in')) rest.push({ operator: 'in', operand: this.#sum() });
      else if (stream.is('name', 'not') && stream.next.type === 'name' && stream.next.value === 'in') {
        stream.take();
        stream.take();
        rest.push({ operator: 'not in', operand: this.#sum() });
      } else return rest.length === 0 ? first : { kind: 'compare', first, rest };
    }
  }

  #sum(): Expression {
    return this.#binary(['+', '-'], () => this.#concat());
  }

  #concat(): Expression {
    const parts = [this.#product()];
    while (this.stream.skip('operator', '~')) parts.push(this.#product());
    return parts.length === 1 ? (parts[0] as Expression) : { kind: 'concat', parts };
  }

  #product(): Expression {
    return this.#binary(['*', '/', '//', '%'], () => this.#binary(['**'], () => this.unary()));
  }

  #binary(operators: readonly BinaryOperator[], operand: () => Expression): Expression {
    let left = operand();
    for (;;) {
      const operator = operators.find((one) => this.stream.skip('operator', one));
      if (operator === undefined) return left;
      left = { kind: 'binary', operator, left, right: operand() };
    }
  }

  unary(allowsFilters = true): Expression {
    const { stream } = this;
    let node: Expression;
    if (stream.is('operator', '-', '+')) {
      const isNegative = stream.take().value === '-';
      node = { kind: 'sign', isNegative, operand: stream.nested(() => this.unary(false)) };
    } else node = this.primary();
    node = this.postfix(node);
    return allowsFilters ? this.#filtered(node) : node;
  }

  #filtered(start: Expression): Expression {
    const { stream } = this;
    let node = start;
    for (;;) {
      if (stream.is('operator', '|')) node = this.filters(node) ?? node;
      else if (stream.skip('name', 'is')) node = this.#test(node);
      else if (stream.is('operator', '(')) node = { kind: 'call', callee: node, args: this.args() };
      else return node;
    }
  }

  #test(operand: Expression): Expression {
    const { stream } = this;
    const isNegated = stream.skip('name', 'not');
    const name = this.dottedName();
    let args = NO_ARGUMENTS;
    if (stream.is('operator', '(')) args = this.args();
    else if (
      (['name', 'string', 'integer', 'float'].includes(stream.current.type) &&
        !stream.is('name', 'else', 'or', 'and')) ||
      stream.is('operator', '[', '{')
    ) {
      if (stream.is('name', 'is')) stream.fail('You cannot chain multiple tests with is');
      args = { ...NO_ARGUMENTS, positional: [this.postfix(this.primary())] };
    }
    const test: Expression = { kind: 'test', name, operand, args };
    return isNegated ? { kind: 'not', operand: test } : test;
  }
}
