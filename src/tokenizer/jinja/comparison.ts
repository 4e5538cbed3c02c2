import type { Budget } from './budget.js';
import { isNumeric, itemsOf, numberOf, textOf } from './iteration.js';
import type { CompareOperator } from './nodes.js';
import {
  Bytes,
  codePoints,
  Dict,
  List,
  Markup,
  Range,
  TemplateRuntimeError,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from './values.js';

/** Exact also where one is whole and the other is not. */
function areEqualNumbers(left: bigint | number, right: bigint | number): boolean {
  return left <= right && left >= right;
}

export function isEqual(left: Value, right: Value, budget: Budget): boolean {
  budget.spend(1);
  if (isNumeric(left) && isNumeric(right)) return areEqualNumbers(numberOf(left), numberOf(right));
  const [text, other] = [textOf(left), textOf(right)];
  if (text !== undefined || other !== undefined) return text === other;
  if (left instanceof Undefined) return right instanceof Undefined;
  if (left instanceof Bytes && right instanceof Bytes) return left.data.join() === right.data.join();
  if (left instanceof Range && right instanceof Range)
    return isEqual(new List(left.items()), new List(right.items()), budget);
  return budget.nested(() => {
    if (
      (left instanceof List && right instanceof List) ||
      (left instanceof Tuple && right instanceof Tuple)
    ) {
      return (
        left.items.length === right.items.length &&
        left.items.every((item, index) => isEqual(item, right.items[index] as Value, budget))
      );
    }
    if (!(left instanceof Dict && right instanceof Dict)) return left === right;
    return (
      left.size === right.size &&
      left.entries().every(([key, item]) => {
        const found = right.get(key);
        return found !== undefined && isEqual(item, found, budget);
      })
    );
  });
}

/** Below zero, zero or above it, as `left` is smaller than, equal to or larger than `right`. */
export function order(left: Value, right: Value, budget: Budget, symbol = '<'): number {
  budget.spend(1);
  if (left instanceof Undefined) left.fail();
  if (right instanceof Undefined) right.fail();
  if (isNumeric(left) && isNumeric(right)) {
    const [a, b] = [numberOf(left), numberOf(right)];
    return a < b ? -1 : a > b ? 1 : areEqualNumbers(a, b) ? 0 : Number.NaN;
  }
  const [a, b] = [textOf(left), textOf(right)];
  if (a !== undefined && b !== undefined) return orderTexts(a, b);
  if ((left instanceof List && right instanceof List) || (left instanceof Tuple && right instanceof Tuple)) {
    const at = left.items.findIndex((item, index) => {
      const other = right.items[index];
      return other === undefined || !isEqual(item, other, budget);
    });
    const [mine, other] = [left.items[at], right.items[at]];
    if (mine === undefined || other === undefined) return left.items.length - right.items.length;
    return budget.nested(() => order(mine, other, budget, symbol));
  }
  const types = `'${typeName(left)}' and '${typeName(right)}'`;
  throw new TemplateRuntimeError(`'${symbol}' not supported between instances of ${types}`);
}

/** By code points, which is not the order of JavaScript's strings beyond the basic plane. */
function orderTexts(left: string, right: string): number {
  if (left === right) return 0;
  const [a, b] = [codePoints(left), codePoints(right)];
  for (let at = 0; at < Math.min(a.length, b.length); at++) {
    const [x = '', y = ''] = [a[at], b[at]];
    if (x !== y) return (x.codePointAt(0) ?? 0) - (y.codePointAt(0) ?? 0);
  }
  return a.length - b.length;
}

export function compare(operator: CompareOperator, left: Value, right: Value, budget: Budget): boolean {
  switch (operator) {
    case '==':
      return isEqual(left, right, budget);
    case '!=':
      return !isEqual(left, right, budget);
    case 'in':
      return contains(right, left, budget);
    case 'not in':
      return !contains(right, left, budget);
    case '<':
      return order(left, right, budget, operator) < 0;
    case '<=':
      return order(left, right, budget, operator) <= 0;
    case '>':
      return order(left, right, budget, operator) > 0;
    case '>=':
      return order(left, right, budget, operator) >= 0;
  }
}

/** Python's `in`. */
export function contains(container: Value, value: Value, budget: Budget): boolean {
  const text = textOf(container);
  if (text !== undefined) {
    const part = textOf(value);
    if (part !== undefined) return text.includes(part);
    if (value instanceof Undefined) value.fail();
    throw new TemplateRuntimeError(`'in <string>' requires string as left operand, not ${typeName(value)}`);
  }
  if (container instanceof Dict) {
    // Other values can be keys in Python, but of no mapping that a template can have.
    const isKey = value === null || typeof value !== 'object' || value instanceof Tuple;
    const isText = value instanceof Markup || value instanceof List || value instanceof Dict;
    return (isKey || isText) && container.has(value);
  }
  const items = itemsOf(container, budget);
  if (items === undefined)
    throw new TemplateRuntimeError(`argument of type '${typeName(container)}' is not iterable`);
  return items.some((item) => isEqual(item, value, budget));
}
