import { bind, requiredText, wholeOf } from './arguments.js';
import type { Budget } from './budget.js';
import type { Filter } from './filter.js';
import { toFixed } from './format.js';
import { isNumeric, isTrue, numberOf, textOf } from './iteration.js';
import { asciiDigits } from './numerals.js';
import { floatText } from './text.js';
import { TemplateRuntimeError, typeName, Undefined } from './values.js';
import { trimEnd, trimStart } from './white-space.js';

/** Digits behind the point that a float can have a say in, and that JavaScript writes. */
const MAX_PRECISION = 100;
/** Digits of a text that Python reads as a whole number. */
const MAX_DIGITS = 4300;
const PREFIXES: Readonly<Record<string, number>> = { '0x': 16, '0o': 8, '0b': 2 };

const abs: Filter = (operand) => {
  if (typeof operand === 'bigint') return operand < 0n ? -operand : operand;
  if (typeof operand === 'boolean') return BigInt(operand);
  if (typeof operand === 'number') return Math.abs(operand);
  throw new TemplateRuntimeError(`bad operand type for abs(): '${typeName(operand)}'`);
};

/** A whole number to this many zeros, to even where it is half-way. */
function roundedWhole(value: bigint, zeros: number, budget: Budget): bigint {
  if (zeros <= 0) return value;
  budget.payString(zeros);
  const unit = 10n ** BigInt(zeros);
  const rest = ((value % unit) + unit) % unit;
  const [below, twice] = [value - rest, 2n * rest];
  const isUp = twice > unit || (twice === unit && (below / unit) % 2n !== 0n);
  return isUp ? below + unit : below;
}

/** A float to this many zeros; what is behind the point only decides what would be half-way. */
function roundedFloat(value: number, zeros: number, budget: Budget): number {
  const whole = Math.trunc(value);
  const tenths = BigInt(whole) * 10n + BigInt(Math.sign(value - whole));
  const rounded = Number(roundedWhole(tenths, zeros + 1, budget) / 10n);
  return rounded === 0 ? 0 * value : rounded;
}

/** Python's `round`: to even where a number is half-way. A whole number stays whole. */
const round: Filter = (operand, args, { budget }) => {
  const given = bind('round', args, 'precision?', 'method?');
  const precision = wholeOf(given.precision, 0);
  const method = given.method === undefined ? 'common' : requiredText(given.method, budget);
  if (!['common', 'ceil', 'floor'].includes(method))
    throw new TemplateRuntimeError('method must be common, ceil or floor');
  const isWhole = typeof operand === 'bigint' || typeof operand === 'boolean';
  if (isWhole && method === 'common') return roundedWhole(BigInt(operand), -precision, budget);
  if (!isWhole && typeof operand !== 'number')
    throw new TemplateRuntimeError(`type ${typeName(operand)} doesn't define __round__ method`);
  const value = Number(operand);
  if (method !== 'common') {
    const scale = 10 ** precision;
    const scaled = whole(method === 'ceil' ? Math.ceil(value * scale) : Math.floor(value * scale));
    return Number(scaled) / scale;
  }
  if (!Number.isFinite(value) || precision > MAX_PRECISION) return value;
  if (precision < 0) return roundedFloat(value, -precision, budget);
  return Math.sign(value) * Number(toFixed(Math.abs(value), precision));
};

/** A text's whole number; undefined where it has none. Python takes blanks around it and "_" between digits. */
function parseWhole(found: string, base: number): bigint | undefined {
  if (base !== 0 && (base < 2 || base > 36)) return undefined;
  const digits = asciiDigits(trimEnd(trimStart(found))).toLowerCase();
  const [, sign = '', rest = ''] = /^([-+]?)([\da-z_]+)$/.exec(digits) ?? [];
  const own = PREFIXES[rest.slice(0, 2)];
  const isPrefixed = own !== undefined && (base === 0 || base === own);
  const body = isPrefixed ? rest.slice(2).replace(/^_/, '') : rest;
  if (!/^[\da-z]+(?:_[\da-z]+)*$/.test(body) || (base === 0 && !isPrefixed && /^0[0_]*[1-9]/.test(body)))
    return undefined;
  const radix = isPrefixed ? own : base === 0 ? 10 : base;
  let value = 0n;
  for (const digit of body.replaceAll('_', '')) {
    const one = Number.parseInt(digit, radix);
    if (Number.isNaN(one)) return undefined;
    value = value * BigInt(radix) + BigInt(one);
  }
  return sign === '-' ? -value : value;
}

function parseFloatText(found: string): number | undefined {
  const digits = asciiDigits(trimEnd(trimStart(found))).toLowerCase();
  const special = /^([-+]?)(inf|infinity|nan)$/.exec(digits);
  if (special) return special[2] === 'nan' ? Number.NaN : special[1] === '-' ? -Infinity : Infinity;
  return /^[-+]?(\d+(_\d+)*\.?(\d+(_\d+)*)?|\.\d+(_\d+)*)(e[-+]?\d+(_\d+)*)?$/.test(digits)
    ? Number(digits.replaceAll('_', ''))
    : undefined;
}

/** Without what is behind the point. @throws TemplateRuntimeError for infinity and NaN */
function whole(value: number): bigint {
  if (Number.isFinite(value)) return BigInt(Math.trunc(value));
  throw new TemplateRuntimeError(`cannot convert float ${floatText(value)} to integer`);
}

function floatOf(value: bigint | boolean | number): number {
  const float = Number(value);
  if (typeof value === 'bigint' && !Number.isFinite(float))
    throw new TemplateRuntimeError('int too large to convert to float');
  return float;
}

const toInt: Filter = (operand, args) => {
  const { default: fallback = 0n, base = 10n } = bind('int', args, 'default?', 'base?');
  if (operand instanceof Undefined) return operand.fail();
  if (typeof operand === 'number') return Number.isNaN(operand) ? fallback : whole(operand);
  if (isNumeric(operand)) return numberOf(operand);
  const found = textOf(operand);
  if (found === undefined) return fallback;
  const isBase = (typeof base === 'bigint' || typeof base === 'boolean') && found.length <= MAX_DIGITS;
  const value = isBase ? parseWhole(found, Number(base)) : undefined;
  if (value !== undefined) return value;
  const float = parseFloatText(found) ?? Number.NaN;
  return Number.isFinite(float) ? whole(float) : fallback;
};

const toFloat: Filter = (operand, args) => {
  const { default: fallback = 0 } = bind('float', args, 'default?');
  if (operand instanceof Undefined) return operand.fail();
  if (isNumeric(operand)) return floatOf(operand);
  const found = textOf(operand);
  return (found === undefined ? undefined : parseFloatText(found)) ?? fallback;
};

const filesizeformat: Filter = (operand, args) => {
  const isBinary = isTrue(bind('filesizeformat', args, 'binary?').binary ?? false);
  if (operand instanceof Undefined) return operand.fail();
  const size = isNumeric(operand) ? floatOf(operand) : parseFloatText(textOf(operand) ?? '');
  if (size === undefined) throw new TemplateRuntimeError(`a ${typeName(operand)} is no number of bytes`);
  const base = isBinary ? 1024 : 1000;
  if (size === 1) return '1 Byte';
  if (size < base) return `${whole(size)} Bytes`;
  const letters = Array.from(`${isBinary ? 'K' : 'k'}MGTPEZY`);
  const found = letters.findIndex((_, at) => size < base ** (at + 2));
  const index = found < 0 ? letters.length - 1 : found;
  return `${toFixed((base * size) / base ** (index + 2), 1)} ${letters[index]}${isBinary ? 'iB' : 'B'}`;
};

/** Jinja's filters on numbers. */
export const NUMBER_FILTERS: readonly (readonly [string, Filter])[] = [
  ['abs', abs],
  ['round', round],
  ['int', toInt],
  ['float', toFloat],
  ['filesizeformat', filesizeformat],
];
