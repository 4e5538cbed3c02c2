import type { Budget } from './budget.js';
import { formatPercent } from './format.js';
import { isNumeric, numberOf, textOf } from './iteration.js';
import type { BinaryOperator } from './nodes.js';
import { toText } from './text.js';
import { List, Markup, TemplateRuntimeError, Tuple, typeName, Undefined, type Value } from './values.js';

/** Bits of a whole number; 2 ** 2 ** 40 would not fit into memory. */
const MAX_BITS = 8192;

export function calculate(operator: BinaryOperator, left: Value, right: Value, budget: Budget): Value {
  if (left instanceof Undefined) left.fail();
  if (right instanceof Undefined && !(operator === '%' && textOf(left) !== undefined)) right.fail();
  if (isNumeric(left) && isNumeric(right)) return arithmetic(operator, numberOf(left), numberOf(right));
  const combined = combine(operator, left, right, budget);
  if (combined !== undefined) return combined;
  const types = `'${typeName(left)}' and '${typeName(right)}'`;
  throw new TemplateRuntimeError(`unsupported operand type(s) for ${operator}: ${types}`);
}

function combine(operator: BinaryOperator, left: Value, right: Value, budget: Budget): Value | undefined {
  const [a, b] = [textOf(left), textOf(right)];
  if (operator === '%' && a !== undefined) return formatPercent(a, right, budget);
  if (operator === '+') {
    if (a !== undefined && b !== undefined) return addTexts(left, right, budget);
    const isPair =
      (left instanceof List && right instanceof List) || (left instanceof Tuple && right instanceof Tuple);
    if (!isPair) return undefined;
    budget.payItems(left.items.length + right.items.length);
    const items = [...left.items, ...right.items];
    return left instanceof List ? new List(items) : new Tuple(items);
  }
  if (operator !== '*') return undefined;
  const [repeated, count] =
    typeof left === 'bigint' || typeof left === 'boolean' ? [right, left] : [left, right];
  if (typeof count !== 'bigint' && typeof count !== 'boolean') return undefined;
  const times = Math.max(0, Number(count));
  const text = textOf(repeated);
  if (text !== undefined) {
    budget.payString(text.length * times);
    return text.repeat(times);
  }
  if (!(repeated instanceof List || repeated instanceof Tuple)) return undefined;
  budget.payItems(repeated.items.length * times);
  const items = Array.from({ length: times }, () => repeated.items).flat();
  return repeated instanceof List ? new List(items) : new Tuple(items);
}

/** The texts of values, one after another, with a separator between them. */
export function joinTexts(values: readonly Value[], budget: Budget, separator = ''): string {
  const texts = values.map((value) => toText(value, budget));
  budget.payString(texts.reduce((sum, { length }) => sum + length + separator.length, 0));
  return texts.join(separator);
}

/** `+` of two texts; what is added to one that is marked as HTML is escaped. */
function addTexts(left: Value, right: Value, budget: Budget): string | Markup {
  const isMarkup = left instanceof Markup || right instanceof Markup;
  const texts = [left, right].map((value) => {
    const text = toText(value, budget);
    return isMarkup && !(value instanceof Markup) ? escapeHtml(text) : text;
  });
  const text = joinTexts(texts, budget);
  return isMarkup ? new Markup(text) : text;
}

export function escapeHtml(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&#34;',
    "'": '&#39;',
  };
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}

function arithmetic(
  operator: BinaryOperator,
  left: bigint | number,
  right: bigint | number,
): bigint | number {
  if (typeof left === 'bigint' && typeof right === 'bigint') {
    const whole = wholeArithmetic(operator, left, right);
    if (whole !== undefined) return whole;
  }
  const [a, b] = [Number(left), Number(right)];
  if ((typeof left === 'bigint' && !Number.isFinite(a)) || (typeof right === 'bigint' && !Number.isFinite(b)))
    throw new TemplateRuntimeError('int too large to convert to float');
  const isPower = operator === '**' && a === 0 && b < 0;
  if (isPower || (b === 0 && (operator === '/' || operator === '//' || operator === '%')))
    throw new TemplateRuntimeError('division by zero');
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
    case '//':
      return flooredQuotient(a, b);
    case '%':
      return remainder(a, b);
    case '**':
      return power(a, b);
  }
}

/** What is left of a division, with the divisor's sign, also where it is zero. */
function remainder(a: number, b: number): number {
  const rest = a % b;
  if (rest === 0) return b < 0 || Object.is(b, -0) ? -0 : 0;
  return rest < 0 !== b < 0 ? rest + b : rest;
}

/** By way of the rest, as Python does: 1 // 0.1 is 9, for 0.1 is a little more than a tenth. */
function flooredQuotient(a: number, b: number): number {
  const rest = a % b;
  const quotient = (a - rest) / b - (rest !== 0 && rest < 0 !== b < 0 ? 1 : 0);
  if (quotient === 0) return 0 * (a / b);
  const floored = Math.floor(quotient);
  return quotient - floored > 0.5 ? floored + 1 : floored;
}

function power(base: number, exponent: number): number {
  const areFinite = Number.isFinite(base) && Number.isFinite(exponent);
  if (areFinite && base < 0 && !Number.isInteger(exponent))
    throw new TemplateRuntimeError('a complex number, the power of a negative one');
  const result = base === 1 ? 1 : base ** exponent;
  if (areFinite && !Number.isFinite(result)) throw new TemplateRuntimeError('Numerical result out of range');
  return result;
}

/** Whole numbers; undefined where the result is a fraction. Division rounds down, the rest has the divisor's sign. */
function wholeArithmetic(operator: BinaryOperator, left: bigint, right: bigint): bigint | undefined {
  switch (operator) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      checkBits(bits(left) + bits(right));
      return left * right;
    case '**':
      if (right < 0n) return undefined;
      if (left * left > 1n) checkBits(bits(left) * Number(right));
      return left ** right;
    case '/':
      return undefined;
    default: {
      if (right === 0n) throw new TemplateRuntimeError('integer division or modulo by zero');
      const rest = left % right;
      const isOff = rest !== 0n && rest < 0n !== right < 0n;
      if (operator === '%') return isOff ? rest + right : rest;
      return isOff ? left / right - 1n : left / right;
    }
  }
}

function bits(value: bigint): number {
  return (value < 0n ? -value : value).toString(16).length * 4;
}

function checkBits(count: number): void {
  if (count > MAX_BITS) throw new TemplateRuntimeError(`a whole number of more than ${MAX_BITS} bits`);
}

export function negate(value: Value): Value {
  if (value instanceof Undefined) value.fail();
  if (isNumeric(value)) return -numberOf(value);
  throw new TemplateRuntimeError(`bad operand type for unary -: '${typeName(value)}'`);
}
