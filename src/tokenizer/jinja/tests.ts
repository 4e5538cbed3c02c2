import type { Budget } from './budget.js';
import { compare, contains, isEqual } from './comparison.js';
import { isNumeric, lengthOf, numberOf, textOf } from './iteration.js';
import { isLower, isUpper } from './letter-case.js';
import type { CompareOperator } from './nodes.js';
import { toText } from './text.js';
import {
  Callable,
  Dict,
  Generator,
  Loop,
  Markup,
  TemplateRuntimeError,
  typeName,
  Undefined,
  type Value,
} from './values.js';

/** Whether a value has a property. */
export type Test = (value: Value, args: readonly Value[], budget: Budget) => boolean;

function comparison(operator: CompareOperator): Test {
  return (value, args, budget) => compare(operator, value, argument(args), budget);
}

function argument(args: readonly Value[]): Value {
  const [first] = args;
  if (first === undefined) throw new TemplateRuntimeError('the test takes an argument');
  return first;
}

function numeric(value: Value): bigint | number {
  if (value instanceof Undefined) return value.fail();
  if (isNumeric(value)) return numberOf(value);
  throw new TemplateRuntimeError(`unsupported operand type for %: '${typeName(value)}'`);
}

function isIterable(value: Value): boolean {
  if (value instanceof Generator) return true;
  return lengthOf(value) !== undefined;
}

function isNumber(value: Value): boolean {
  return typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean';
}

const equal: Test = (value, args, budget) => isEqual(value, argument(args), budget);
/** What is left when a value is divided. */
const isRest = (value: Value, divisor: Value, rest: number): boolean => {
  const [left, right] = [numeric(value), numeric(divisor)];
  if (Number(right) === 0) throw new TemplateRuntimeError('integer modulo by zero');
  if (typeof left === 'bigint' && typeof right === 'bigint')
    return ((left % right) + right) % right === BigInt(rest);
  const found = Number(left) % Number(right);
  return found === rest || found + Number(right) === rest;
};

/** Jinja's tests by name. */
export const TESTS: ReadonlyMap<string, Test> = new Map<string, Test>([
  ['defined', (value) => !(value instanceof Undefined)],
  ['undefined', (value) => value instanceof Undefined],
  ['none', (value) => value === null],
  ['boolean', (value) => typeof value === 'boolean'],
  ['true', (value) => value === true],
  ['false', (value) => value === false],
  ['integer', (value) => typeof value === 'bigint'],
  ['float', (value) => typeof value === 'number'],
  ['number', isNumber],
  ['string', (value) => textOf(value) !== undefined],
  ['mapping', (value) => value instanceof Dict],
  ['sequence', (value) => lengthOf(value) !== undefined && !isView(value) && !(value instanceof Loop)],
  ['iterable', isIterable],
  ['callable', (value) => value instanceof Callable || value instanceof Undefined],
  ['escaped', (value) => value instanceof Markup],
  ['lower', (value, _args, budget) => isLower(toText(value, budget))],
  ['upper', (value, _args, budget) => isUpper(toText(value, budget))],
  ['odd', (value) => isRest(value, 2n, 1)],
  ['even', (value) => isRest(value, 2n, 0)],
  ['divisibleby', (value, args) => isRest(value, argument(args), 0)],
  ['in', (value, args, budget) => contains(argument(args), value, budget)],
  ['sameas', (value, args) => Object.is(value, argument(args))],
  ['eq', equal],
  ['equalto', equal],
  ['==', equal],
  ['ne', comparison('!=')],
  ['!=', comparison('!=')],
  ['gt', comparison('>')],
  ['greaterthan', comparison('>')],
  ['>', comparison('>')],
  ['ge', comparison('>=')],
  ['>=', comparison('>=')],
  ['lt', comparison('<')],
  ['lessthan', comparison('<')],
  ['<', comparison('<')],
  ['le', comparison('<=')],
  ['<=', comparison('<=')],
]);

/** `keys()` and the like have a length, but no places. */
function isView(value: Value): boolean {
  return typeName(value).startsWith('dict_');
}
