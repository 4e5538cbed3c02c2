import type { Budget } from './budget.js';
import { compare, contains, isEqual } from './comparison.js';
import { lengthOf, textOf } from './iteration.js';
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

function whole(value: Value): bigint {
  if (value instanceof Undefined) return value.fail();
  if (typeof value === 'bigint') return value;
  if (typeof value === 'boolean') return BigInt(value);
  if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value);
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
const modulo = (value: Value, divisor: bigint): boolean => {
  if (divisor === 0n) throw new TemplateRuntimeError('integer modulo by zero');
  return whole(value) % divisor === 0n;
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
  ['lower', (value, _args, budget) => isCased(toText(value, budget), 'lower')],
  ['upper', (value, _args, budget) => isCased(toText(value, budget), 'upper')],
  ['odd', (value) => !modulo(value, 2n)],
  ['even', (value) => modulo(value, 2n)],
  ['divisibleby', (value, args) => modulo(value, whole(argument(args)))],
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

function isCased(text: string, which: 'lower' | 'upper'): boolean {
  const [same, other] =
    which === 'lower' ? [text.toLowerCase(), text.toUpperCase()] : [text.toUpperCase(), text.toLowerCase()];
  return text === same && text !== other;
}
