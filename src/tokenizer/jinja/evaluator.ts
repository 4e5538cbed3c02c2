import { attributeOf, itemOf, Slice } from './attributes.js';
import type { Budget } from './budget.js';
import { compare } from './comparison.js';
import type { Filter, FilterContext } from './filter.js';
import { isTrue, iterate, textOf } from './iteration.js';
import { LIST_FILTERS } from './list-filters.js';
import type { ArgumentList, Expression } from './nodes.js';
import { NUMBER_FILTERS } from './number-filters.js';
import { calculate, joinTexts, negate } from './operators.js';
import type { Scope } from './scope.js';
import { TESTS } from './tests.js';
import { TEXT_FILTERS } from './text-filters.js';
import {
  type CallArguments,
  Callable,
  Dict,
  hashOf,
  List,
  Loop,
  TemplateRuntimeError,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from './values.js';

const FILTERS: ReadonlyMap<string, Filter> = new Map([...TEXT_FILTERS, ...NUMBER_FILTERS, ...LIST_FILTERS]);

/** Values of expressions, within a budget. */
export class Evaluator implements FilterContext {
  constructor(readonly budget: Budget) {}

  applyFilter(name: string, operand: Value, args: CallArguments): Value {
    const filter = FILTERS.get(name);
    if (filter === undefined) throw new TemplateRuntimeError(`No filter named '${name}'.`);
    this.budget.spend(1);
    return filter(operand, args, this);
  }

  applyTest(name: string, operand: Value, { positional }: CallArguments): boolean {
    this.budget.spend(1);
    if (name === 'filter' || name === 'test') {
      const known: ReadonlyMap<string, unknown> = name === 'filter' ? FILTERS : TESTS;
      // Asked as a mapping is, so that what cannot be a key is refused.
      hashOf(operand);
      return known.has(textOf(operand) ?? '');
    }
    const test = TESTS.get(name);
    if (test === undefined) throw new TemplateRuntimeError(`No test named '${name}'.`);
    return test(operand, positional, this.budget);
  }

  arguments(args: ArgumentList, scope: Scope): CallArguments {
    const positional = args.positional.map((value) => this.evaluate(value, scope));
    const keyword = new Map(
      args.keyword.map(({ name, value }) => [name, this.evaluate(value, scope)] as const),
    );
    if (args.spread !== undefined) {
      const spread = iterate(this.evaluate(args.spread, scope), this.budget);
      this.budget.payItems(spread.length);
      positional.push(...spread);
    }
    if (args.keywordSpread !== undefined) {
      const spread = this.evaluate(args.keywordSpread, scope);
      if (!(spread instanceof Dict))
        throw new TemplateRuntimeError(`argument after ** must be a mapping, not ${typeName(spread)}`);
      for (const [name, value] of spread.entries()) {
        const key = textOf(name);
        if (key === undefined) throw new TemplateRuntimeError('keywords must be strings');
        keyword.set(key, value);
      }
    }
    return { positional, keyword };
  }

  call(callee: Value, args: CallArguments): Value {
    if (callee instanceof Undefined) callee.fail();
    if (callee instanceof Loop && callee.recurse !== undefined)
      return callee.recurse(args.positional.length > 0 ? (args.positional[0] as Value) : new List([]));
    if (callee instanceof Callable) return callee.call(args);
    throw new TemplateRuntimeError(`'${typeName(callee)}' object is not callable`);
  }

  evaluate(expression: Expression, scope: Scope): Value {
    this.budget.spend(1);
    return this.budget.nested(() => this.#valueOf(expression, scope));
  }

  #valueOf(expression: Expression, scope: Scope): Value {
    const evaluate = (inner: Expression): Value => this.evaluate(inner, scope);
    switch (expression.kind) {
      case 'const':
        return expression.value;
      case 'name':
        return scope.lookUp(expression.name);
      case 'list':
        this.budget.payItems(expression.items.length);
        return new List(expression.items.map(evaluate));
      case 'tuple':
        this.budget.payItems(expression.items.length);
        return new Tuple(expression.items.map(evaluate));
      case 'dict':
        this.budget.payItems(expression.entries.length);
        return new Dict(expression.entries.map(([key, value]) => [evaluate(key), evaluate(value)] as const));
      case 'attribute':
        return attributeOf(evaluate(expression.object), expression.name, this.budget);
      case 'item': {
        const object = evaluate(expression.object);
        const { index } = expression;
        if (index.kind !== 'slice') return itemOf(object, evaluate(index), this.budget);
        const [start, stop, step] = [index.start, index.stop, index.step].map(
          (bound) => bound && evaluate(bound),
        );
        return itemOf(object, new Slice(start, stop, step), this.budget);
      }
      case 'slice':
        throw new TemplateRuntimeError('a slice stands alone in its brackets');
      case 'call':
        return this.call(evaluate(expression.callee), this.arguments(expression.args, scope));
      case 'filter': {
        const operand = expression.operand === undefined ? '' : evaluate(expression.operand);
        return this.applyFilter(expression.name, operand, this.arguments(expression.args, scope));
      }
      case 'test':
        return this.applyTest(
          expression.name,
          evaluate(expression.operand),
          this.arguments(expression.args, scope),
        );
      case 'not':
        return !isTrue(evaluate(expression.operand));
      case 'and': {
        const left = evaluate(expression.left);
        return isTrue(left) ? evaluate(expression.right) : left;
      }
      case 'or': {
        const left = evaluate(expression.left);
        return isTrue(left) ? left : evaluate(expression.right);
      }
      case 'if':
        if (isTrue(evaluate(expression.test))) return evaluate(expression.value);
        return expression.otherwise === undefined
          ? new Undefined('the inline if-expression evaluated to false and no else section was defined')
          : evaluate(expression.otherwise);
      case 'sign': {
        const value = negate(evaluate(expression.operand));
        return expression.isNegative ? value : negate(value);
      }
      case 'binary':
        return calculate(
          expression.operator,
          evaluate(expression.left),
          evaluate(expression.right),
          this.budget,
        );
      case 'concat':
        return joinTexts(expression.parts.map(evaluate), this.budget);
      case 'compare': {
        let left = evaluate(expression.first);
        for (const { operator, operand } of expression.rest) {
          const right = evaluate(operand);
          if (!compare(operator, left, right, this.budget)) return false;
          left = right;
        }
        return true;
      }
    }
  }
}
