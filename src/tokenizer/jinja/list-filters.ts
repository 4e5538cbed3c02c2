import { bind, textArgument, wholeOf } from './arguments.js';
import { atIndex, followPath } from './attributes.js';
import type { Budget } from './budget.js';
import { isEqual, order } from './comparison.js';
import type { Filter, FilterContext } from './filter.js';
import { toFixed } from './format.js';
import { isTrue, iterate, lengthOf, textOf } from './iteration.js';
import { calculate, joinTexts } from './operators.js';
import { toText } from './text.js';
import { reversedText } from './text-filters.js';
import {
  Dict,
  Generator,
  List,
  TemplateRuntimeError,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from './values.js';

/** The name of a filter or a test that was given as an argument. */
function nameOf(value: Value | undefined, budget: Budget): string {
  return textArgument(value, budget) ?? '';
}

/** `select`, `reject` and the two for attributes: the items for which a test holds, or does not. */
function selection(isWanted: boolean, ofAttribute: boolean): Filter {
  return (operand, { positional, keyword }, context) => {
    if (!isTrue(operand)) return new Generator([]);
    const { budget } = context;
    const [path, rest] = ofAttribute ? [positional[0], positional.slice(1)] : [undefined, positional];
    if (ofAttribute && path === undefined)
      throw new TemplateRuntimeError('Missing parameter for attribute name');
    const [test, ...args] = rest;
    const passes = (item: Value): boolean => {
      const value = path === undefined ? item : followPath(item, path, budget);
      if (test === undefined) return isTrue(value);
      return context.applyTest(nameOf(test, budget), value, { positional: args, keyword });
    };
    return new Generator(iterate(operand, budget).filter((item) => passes(item) === isWanted));
  };
}

const map: Filter = (operand, { positional, keyword }, context) => {
  if (!isTrue(operand)) return new Generator([]);
  const { budget } = context;
  const attribute = keyword.get('attribute');
  let change: (item: Value) => Value;
  if (positional.length === 0 && attribute !== undefined) {
    const fallback = keyword.get('default') ?? undefined;
    change = (item) => followPath(item, attribute, budget, fallback);
  } else {
    const [name, ...args] = positional;
    if (name === undefined) throw new TemplateRuntimeError('map requires a filter argument');
    change = (item) => context.applyFilter(nameOf(name, budget), item, { positional: args, keyword });
  }
  return new Generator(iterate(operand, budget).map(change));
};

/** Makes texts that differ in case only equal. */
function ignoringCase(value: Value): Value {
  return textOf(value)?.toLowerCase() ?? value;
}

/** Sorted by keys; those that are equal keep their order, also when it is reversed. */
function sorted<T>(items: readonly T[], keyOf: (item: T) => Value, isReversed: boolean, budget: Budget): T[] {
  budget.payItems(items.length);
  const keyed = items.map((item) => ({ item, key: keyOf(item) }));
  const sign = isReversed ? -1 : 1;
  return keyed.sort((left, right) => sign * order(left.key, right.key, budget)).map(({ item }) => item);
}

/** The item itself, or its attribute. */
function keyBy(attribute: Value, isCaseSensitive: boolean, budget: Budget): (item: Value) => Value {
  const fold = isCaseSensitive ? (value: Value) => value : ignoringCase;
  return (item) => fold(attribute === null ? item : followPath(item, attribute, budget));
}

const sort: Filter = (operand, args, { budget }) => {
  const given = bind('sort', args, 'reverse?', 'case_sensitive?', 'attribute?');
  const { attribute = null, case_sensitive: sensitive = false } = given;
  // By several attributes, which commas separate.
  const paths = typeof attribute === 'string' ? attribute.split(',') : [attribute];
  const keys = paths.map((path) => keyBy(path, isTrue(sensitive), budget));
  const keyOf = (item: Value): Value => new List(keys.map((key) => key(item)));
  return new List(sorted(iterate(operand, budget), keyOf, isTrue(given.reverse ?? false), budget));
};

const dictsort: Filter = (operand, args, { budget }) => {
  const given = bind('dictsort', args, 'case_sensitive?', 'by?', 'reverse?');
  if (operand instanceof Undefined) operand.fail();
  if (!(operand instanceof Dict))
    throw new TemplateRuntimeError(`'${typeName(operand)}' object has no items`);
  const at = textArgument(given.by, budget) === 'value' ? 1 : 0;
  const fold = isTrue(given.case_sensitive ?? false) ? (value: Value) => value : ignoringCase;
  const entries = sorted(
    operand.entries(),
    (entry) => fold(entry[at]),
    isTrue(given.reverse ?? false),
    budget,
  );
  return new List(entries.map((entry) => new Tuple([...entry])));
};

const unique: Filter = (operand, args, { budget }) => {
  const { case_sensitive: sensitive = false, attribute = null } = bind(
    'unique',
    args,
    'case_sensitive?',
    'attribute?',
  );
  const keyOf = keyBy(attribute, isTrue(sensitive), budget);
  const seen = new Dict([]);
  const items = iterate(operand, budget).filter((item) => {
    const key = keyOf(item);
    if (seen.has(key)) return false;
    seen.set(key, null);
    return true;
  });
  return new Generator(items);
};

function extreme(name: string, sign: number): Filter {
  return (operand, args, { budget }) => {
    const given = bind(name, args, 'case_sensitive?', 'attribute?');
    const keyOf = keyBy(given.attribute ?? null, isTrue(given.case_sensitive ?? false), budget);
    const items = iterate(operand, budget);
    if (items.length === 0) return new Undefined('No aggregated item, sequence was empty.');
    return items.reduce((best, item) => (sign * order(keyOf(item), keyOf(best), budget) > 0 ? item : best));
  };
}

const groupby: Filter = (operand, args, { budget }) => {
  const given = bind('groupby', args, 'attribute', 'default?', 'case_sensitive?');
  const { attribute = '', default: fallback = null } = given;
  const groupValue = (item: Value): Value => followPath(item, attribute, budget, fallback ?? undefined);
  const fold = isTrue(given.case_sensitive ?? false) ? (value: Value) => value : ignoringCase;
  const groups: { key: Value; first: Value; items: Value[] }[] = [];
  for (const item of sorted(iterate(operand, budget), (one) => fold(groupValue(one)), false, budget)) {
    const key = fold(groupValue(item));
    const last = groups.at(-1);
    if (last !== undefined && isEqual(last.key, key, budget)) last.items.push(item);
    else groups.push({ key, first: groupValue(item), items: [item] });
  }
  return new List(groups.map(({ first, items }) => new Tuple([first, new List(items)])));
};

const sum: Filter = (operand, args, { budget }) => {
  const { attribute = null, start = 0n } = bind('sum', args, 'attribute?', 'start?');
  return iterate(operand, budget)
    .map((item) => (attribute === null ? item : followPath(item, attribute, budget)))
    .reduce((total, item) => calculate('+', total, item, budget), start);
};

const join: Filter = (operand, args, { budget }) => {
  const { d: separator = '', attribute = null } = bind('join', args, 'd?', 'attribute?');
  const items = iterate(operand, budget).map((item) =>
    attribute === null ? item : followPath(item, attribute, budget),
  );
  return joinTexts(items, budget, toText(separator, budget));
};

const first: Filter = (operand, _args, { budget }) => {
  const found = operand instanceof Generator ? operand.takeFirst() : iterate(operand, budget)[0];
  return found === undefined ? new Undefined('No first item, sequence was empty.') : found;
};

const last: Filter = (operand, _args, { budget }) => {
  const found = atIndex(operand, -1);
  if (found !== undefined) return found;
  if (operand instanceof Generator) throw new TemplateRuntimeError("'generator' object is not reversible");
  const end = iterate(operand, budget).at(-1);
  return end === undefined ? new Undefined('No last item, sequence was empty.') : end;
};

const length: Filter = (operand) => {
  const found = lengthOf(operand);
  if (found === undefined)
    throw new TemplateRuntimeError(`object of type '${typeName(operand)}' has no len()`);
  return BigInt(found);
};

const reverse: Filter = (operand, _args, { budget }) => {
  if (typeof operand === 'string') return reversedText(operand);
  const items = [...iterate(operand, budget)].reverse();
  return operand instanceof Generator ? new List(items) : new Generator(items, 'list_reverseiterator');
};

const items: Filter = (operand) => {
  if (operand instanceof Undefined) return new Generator([]);
  if (!(operand instanceof Dict)) throw new TemplateRuntimeError('Can only get item pairs from a mapping.');
  return new Generator(operand.entries().map((entry) => new Tuple([...entry])));
};

const batch: Filter = (operand, args, { budget }) => {
  const { linecount, fill_with: fill = null } = bind('batch', args, 'linecount', 'fill_with?');
  const size = Math.max(1, wholeOf(linecount, 1));
  const all = iterate(operand, budget);
  const rows: Value[] = [];
  for (let at = 0; at < all.length; at += size) {
    const row = all.slice(at, at + size);
    const lacking = fill === null ? 0 : size - row.length;
    budget.payItems(lacking);
    rows.push(new List([...row, ...Array.from({ length: lacking }, () => fill)]));
  }
  return new Generator(rows);
};

const slice: Filter = (operand, args, { budget }) => {
  const { slices, fill_with: fill = null } = bind('slice', args, 'slices', 'fill_with?');
  const number = Math.max(1, wholeOf(slices, 1));
  budget.payItems(number);
  const all = iterate(operand, budget);
  const [size, numLonger] = [Math.floor(all.length / number), all.length % number];
  const columns = Array.from({ length: number }, (_, index) => {
    const start = index * size + Math.min(index, numLonger);
    const part = all.slice(start, start + size + (index < numLonger ? 1 : 0));
    return new List(fill !== null && index >= numLonger ? [...part, fill] : part);
  });
  return new Generator(columns);
};

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

/** Python's `round`: to even where a number is half-way. A whole number stays whole. */
const round: Filter = (operand, args, { budget }) => {
  const given = bind('round', args, 'precision?', 'method?');
  const precision = wholeOf(given.precision, 0);
  const method = textArgument(given.method, budget) ?? 'common';
  const isWhole = typeof operand === 'bigint' || typeof operand === 'boolean';
  if (isWhole && method === 'common') return roundedWhole(BigInt(operand), -precision, budget);
  if (!isWhole && typeof operand !== 'number')
    throw new TemplateRuntimeError(`type ${typeName(operand)} doesn't define __round__ method`);
  const value = Number(operand);
  const scale = 10 ** precision;
  if (method === 'ceil') return Math.ceil(value * scale) / scale;
  if (method === 'floor') return Math.floor(value * scale) / scale;
  if (!Number.isFinite(value) || precision > 20) return value;
  if (precision < 0) return Math.round(value * scale) / scale;
  return Math.sign(value) * Number(toFixed(Math.abs(value), precision));
};

const list: Filter = (operand, _args, { budget }: FilterContext) => new List(iterate(operand, budget));

/** Jinja's filters on lists and mappings. */
export const LIST_FILTERS: readonly (readonly [string, Filter])[] = [
  ['select', selection(true, false)],
  ['reject', selection(false, false)],
  ['selectattr', selection(true, true)],
  ['rejectattr', selection(false, true)],
  ['map', map],
  ['sort', sort],
  ['dictsort', dictsort],
  ['unique', unique],
  ['min', extreme('min', -1)],
  ['max', extreme('max', 1)],
  ['groupby', groupby],
  ['sum', sum],
  ['join', join],
  ['first', first],
  ['last', last],
  ['length', length],
  ['count', length],
  ['reverse', reverse],
  ['items', items],
  ['batch', batch],
  ['slice', slice],
  ['abs', abs],
  ['round', round],
  ['list', list],
];
