import {
  characters,
  choice,
  type Expression,
  NOTHING,
  optional,
  repeat,
  sequence,
  text,
} from '../expression.js';
import type { Place, SchemaObject } from './schema.js';

const DIGIT = digits('0', '9');
const SOME_DIGITS = repeat(DIGIT, 1);
const ANY_DIGITS = repeat(DIGIT, 0);
const WHOLE = choice(text('0'), sequence(digits('1', '9'), ANY_DIGITS));
const FRACTION = sequence(text('.'), SOME_DIGITS);
const MINUS = text('-');

export const INTEGER: Expression = sequence(optional(MINUS), WHOLE);
export const NUMBER: Expression = sequence(
  optional(MINUS),
  WHOLE,
  optional(FRACTION),
  optional(sequence(choice(text('e'), text('E')), optional(choice(text('+'), MINUS)), SOME_DIGITS)),
);

/** A bound as decimal digits, without a sign: 12.5 is { whole: 12n, fraction: '5' }. */
interface Bound {
  readonly whole: bigint;
  readonly fraction: string;
  readonly isExclusive: boolean;
}

interface Range {
  readonly low: number | undefined;
  readonly high: number | undefined;
  readonly isLowExclusive: boolean;
  readonly isHighExclusive: boolean;
}

/**
 * Numbers within `minimum`, `maximum` and their exclusive forms, in plain decimals, or multiples of a number. Undefined:
 * there is none.
 */
export function numberExpression(
  schema: SchemaObject,
  isInteger: boolean,
  place: Place,
): Expression | undefined {
  const range = rangeOf(schema, place);
  const multiple = place.number(schema, 'multipleOf');
  const isBounded = range.low !== undefined || range.high !== undefined;
  if (multiple !== undefined && multiple !== 1) {
    if (isBounded) return place.refuse('multipleOf together with bounds');
    return multipleExpression(multiple, isInteger, place);
  }
  const isWhole = isInteger || multiple === 1;
  if (!isBounded) return isWhole ? INTEGER : NUMBER;
  return signed(range, isWhole);
}

function rangeOf(schema: SchemaObject, place: Place): Range {
  const [low, high] = [place.number(schema, 'minimum'), place.number(schema, 'maximum')];
  // Draft 4 has booleans here.
  const exclusive = (keyword: string, bound: number | undefined): number | undefined =>
    typeof schema[keyword] === 'boolean'
      ? schema[keyword]
        ? bound
        : undefined
      : place.number(schema, keyword);
  const above = exclusive('exclusiveMinimum', low);
  const below = exclusive('exclusiveMaximum', high);
  const isLowExclusive = above !== undefined && above >= (low ?? above);
  const isHighExclusive = below !== undefined && below <= (high ?? below);
  return {
    low: isLowExclusive ? above : low,
    high: isHighExclusive ? below : high,
    isLowExclusive,
    isHighExclusive,
  };
}

function signed(
  { low, high, isLowExclusive, isHighExclusive }: Range,
  isWhole: boolean,
): Expression | undefined {
  const options: Expression[] = [];
  // Below zero, the bounds change places.
  if (low === undefined || low < 0) {
    const far = low === undefined ? undefined : boundOf(-low, isLowExclusive);
    const near = high !== undefined && high < 0 ? boundOf(-high, isHighExclusive) : boundOf(0, true);
    const negative = unsigned(near, far, isWhole);
    if (negative !== undefined) options.push(sequence(MINUS, negative));
  }
  if (high === undefined || high >= 0) {
    const near = low !== undefined && low >= 0 ? boundOf(low, isLowExclusive) : boundOf(0, false);
    const far = high === undefined ? undefined : boundOf(high, isHighExclusive);
    const positive = unsigned(near, far, isWhole);
    if (positive !== undefined) options.push(positive);
  }
  return options.length === 0 ? undefined : choice(...options);
}

function boundOf(value: number, isExclusive: boolean): Bound {
  const [mantissa = '0', exponent = '0'] = String(value).split('e');
  const [whole = '0', fraction = ''] = mantissa.split('.');
  const shift = Number(exponent);
  const all = `${'0'.repeat(Math.max(0, -shift))}${whole}${fraction}${'0'.repeat(Math.max(0, shift))}`;
  const point = Math.max(0, -shift) + whole.length + shift;
  return {
    whole: BigInt(all.slice(0, point) || '0'),
    fraction: all.slice(point).replace(/0+$/, ''),
    isExclusive,
  };
}

/** Numbers without a sign from `low` to `high`. */
function unsigned(low: Bound, high: Bound | undefined, isWhole: boolean): Expression | undefined {
  if (high !== undefined && isAbove(low, high)) return undefined;
  const firstWhole = low.fraction === '' && !low.isExclusive ? low.whole : low.whole + 1n;
  if (isWhole) {
    const isLastIn = high !== undefined && (high.fraction !== '' || !high.isExclusive);
    const lastWhole = high === undefined ? undefined : isLastIn ? high.whole : high.whole - 1n;
    return wholes(firstWhole, lastWhole);
  }
  const options: (Expression | undefined)[] = [];
  if (high !== undefined && low.whole === high.whole) {
    options.push(withWhole(low.whole, fractions(low, high)));
  } else {
    options.push(withWhole(low.whole, fractions(low, undefined)));
    const between = wholes(low.whole + 1n, high === undefined ? undefined : high.whole - 1n);
    if (between !== undefined) options.push(sequence(between, optional(FRACTION)));
    if (high !== undefined && high.whole > low.whole)
      options.push(withWhole(high.whole, fractions(undefined, high)));
  }
  const found = options.filter((option) => option !== undefined);
  return found.length === 0 ? undefined : choice(...found);
}

/** Digits after a point compare as texts do. */
const isAbove = (a: Bound, b: Bound): boolean =>
  a.whole > b.whole || (a.whole === b.whole && a.fraction > b.fraction);

const withWhole = (whole: bigint, fraction: Expression | undefined): Expression | undefined =>
  fraction && sequence(text(String(whole)), fraction);

/** The point and the digits after it, between those of two bounds; nothing at all stands for zero. */
function fractions(low: Bound | undefined, high: Bound | undefined): Expression | undefined {
  const isZeroIn =
    (low === undefined || (low.fraction === '' && !low.isExclusive)) &&
    (high === undefined || high.fraction !== '' || !high.isExclusive);
  const after = digitsBetween(
    low?.fraction ?? '',
    high?.fraction,
    low?.isExclusive ?? false,
    high?.isExclusive ?? false,
    false,
  );
  const options = [...(isZeroIn ? [NOTHING] : []), ...(after ? [sequence(text('.'), after)] : [])];
  return options.length === 0 ? undefined : choice(...options);
}

/**
 * Digits after a point that are at least `low` and at most `high` (undefined: no limit). `mayStop`: at least one digit
 * was written, so that no more need follow.
 */
function digitsBetween(
  low: string,
  high: string | undefined,
  isLowExclusive: boolean,
  isHighExclusive: boolean,
  mayStop: boolean,
): Expression | undefined {
  if (low === '' && high === undefined) {
    if (!isLowExclusive) return mayStop ? ANY_DIGITS : SOME_DIGITS;
    return sequence(repeat(text('0'), 0), digits('1', '9'), ANY_DIGITS);
  }
  if (high === '') {
    // Only zeros are left, and they are as much as the bound itself.
    if (isHighExclusive || isLowExclusive || low !== '') return undefined;
    return repeat(text('0'), mayStop ? 0 : 1);
  }
  const from = Number(low[0] ?? '0');
  const to = high === undefined ? 9 : Number(high[0]);
  const options: Expression[] = [];
  const isLowReached = low === '' && !isLowExclusive;
  // Stopping stands for zeros: that is enough when nothing more is asked for.
  if (mayStop && isLowReached) options.push(NOTHING);
  for (let digit = from; digit <= to; digit++) {
    const isAtLow = digit === from;
    const isAtHigh = high !== undefined && digit === to;
    if (!isAtLow && !isAtHigh) continue;
    const rest = digitsBetween(
      isAtLow ? low.slice(1) : '',
      isAtHigh ? high.slice(1) : undefined,
      isAtLow && isLowExclusive,
      isAtHigh && isHighExclusive,
      true,
    );
    if (rest !== undefined) options.push(sequence(text(String(digit)), rest));
  }
  const [first, last] = [from + 1, high === undefined ? 9 : to - 1];
  if (first <= last) options.push(sequence(digits(String(first), String(last)), ANY_DIGITS));
  return options.length === 0 ? undefined : choice(...options);
}

/** Whole numbers from `low` to `high`, without zeros in front. */
function wholes(low: bigint, high: bigint | undefined): Expression | undefined {
  if (high !== undefined && high < low) return undefined;
  const options: Expression[] = [];
  let first = low;
  for (;;) {
    const { length } = String(first);
    const last = 10n ** BigInt(length) - 1n;
    if (high !== undefined && high <= last) {
      options.push(sameLength(String(first), String(high)));
      break;
    }
    options.push(sameLength(String(first), String(last)));
    if (high === undefined) {
      options.push(sequence(digits('1', '9'), repeat(DIGIT, length)));
      break;
    }
    first = last + 1n;
  }
  return choice(...options);
}

/** Whole numbers between two of as many digits. */
function sameLength(low: string, high: string): Expression {
  if (low === '') return NOTHING;
  if (/^0+$/.test(low) && /^9+$/.test(high)) return repeat(DIGIT, low.length, low.length);
  const [from, to, after] = [Number(low[0]), Number(high[0]), low.length - 1];
  if (from === to) return sequence(text(String(from)), sameLength(low.slice(1), high.slice(1)));
  const options = [
    sequence(text(String(from)), sameLength(low.slice(1), '9'.repeat(after))),
    sequence(text(String(to)), sameLength('0'.repeat(after), high.slice(1))),
  ];
  if (from + 1 < to)
    options.push(sequence(digits(String(from + 1), String(to - 1)), repeat(DIGIT, after, after)));
  return choice(...options);
}

/** Multiples of 10, 100, … by their zeros; of 0.1, 0.01, … by the number of digits after the point. */
function multipleExpression(multiple: number, isInteger: boolean, place: Place): Expression {
  const power = Math.round(Math.log10(multiple));
  const isPower = Number(`1e${power}`) === multiple;
  if (!isPower) return place.refuse('multipleOf, but for powers of ten');
  if (power < 0)
    return isInteger ? INTEGER : sequence(INTEGER, optional(sequence(text('.'), repeat(DIGIT, 1, -power))));
  const positive = sequence(digits('1', '9'), ANY_DIGITS, text('0'.repeat(power)));
  return sequence(optional(MINUS), choice(text('0'), positive));
}

function digits(first: string, last: string): Expression {
  return characters([first.charCodeAt(0), last.charCodeAt(0)]);
}
