import { bind, textArgument, wholeOf } from './arguments.js';
import { atIndex, followPath, itemOf } from './attributes.js';
import type { Budget } from './budget.js';
import { isEqual, order } from './comparison.js';
import type { Filter, FilterContext } from './filter.js';
import { isTrue, iterate, lengthOf, textOf } from './iteration.js';
import { calculate, joinTexts } from './operators.js';
import { toText } from './text.js';
import { reversedText } from './text-filters.js';
import {
  type CallArguments,
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
  function* chosen(
    operand: Value,
    { positional, keyword }: CallArguments,
    context: FilterContext,
  ): Iterable<Value> {
    if (!isTrue(operand)) return;
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
    for (const item of iterate(operand, budget)) if (passes(item) === isWanted) yield item;
  }
  return (operand, args, context) => new Generator(chosen(operand, args, context));
}

function* mapped(
  operand: Value,
  { positional, keyword }: CallArguments,
  context: FilterContext,
): Iterable<Value> {
  if (!isTrue(operand)) return;
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
  for (const item of iterate(operand, budget)) yield change(item);
}

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
  const by = given.by === undefined ? 'key' : textOf(given.by);
  if (by !== 'key' && by !== 'value')
    throw new TemplateRuntimeError('You can only sort by either "key" or "value"');
  if (operand instanceof Undefined) operand.fail();
  if (!(operand instanceof Dict))
    throw new TemplateRuntimeError(`'${typeName(operand)}' object has no items`);
  const at = by === 'value' ? 1 : 0;
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
  function* firsts(): Iterable<Value> {
    const seen = new Dict([]);
    for (const item of iterate(operand, budget)) {
      const key = keyOf(item);
      if (!seen.has(key)) yield item;
      seen.set(key, null);
    }
  }
  return new Generator(firsts());
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
  const found =
    operand instanceof Generator ? budget.nested(() => operand.takeFirst()) : iterate(operand, budget)[0];
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

function* pairs(operand: Value): Iterable<Value> {
  if (operand instanceof Undefined) return;
  if (!(operand instanceof Dict)) throw new TemplateRuntimeError('Can only get item pairs from a mapping.');
  for (const entry of operand.entries()) yield new Tuple([...entry]);
}

const batch: Filter = (operand, args, { budget }) => {
  const { linecount = null, fill_with: fill = null } = bind('batch', args, 'linecount', 'fill_with?');
  function* rows(): Iterable<Value> {
    let row: Value[] = [];
    for (const item of iterate(operand, budget)) {
      if (isEqual(BigInt(row.length), linecount, budget)) {
        yield new List(row);
        row = [];
      }
      row.push(item);
    }
    if (row.length === 0) return;
    const lacking = fill === null ? 0 : Math.max(0, wholeOf(linecount, 1) - row.length);
    budget.payItems(lacking);
    yield new List([...row, ...Array.from({ length: lacking }, () => fill)]);
  }
  return new Generator(rows());
};

const slice: Filter = (operand, args, { budget }) => {
  const { slices, fill_with: fill = null } = bind('slice', args, 'slices', 'fill_with?');
  function* columns(): Iterable<Value> {
    const all = iterate(operand, budget);
    const number = wholeOf(slices, 1);
    if (number === 0) throw new TemplateRuntimeError('integer division or modulo by zero');
    budget.payItems(Math.max(0, number));
    const [size, numLonger] = [Math.floor(all.length / number), all.length % number];
    for (let index = 0; index < number; index++) {
      const start = index * size + Math.min(index, numLonger);
      const part = all.slice(start, start + size + (index < numLonger ? 1 : 0));
      yield new List(fill !== null && index >= numLonger ? [...part, fill] : part);
    }
  }
  return new Generator(columns());
};

/** Any of the items, as each rendering has it. */
const random: Filter = (operand, _args, { budget }) => {
  const size = lengthOf(operand);
  if (size === undefined)
    throw new TemplateRuntimeError(`object of type '${typeName(operand)}' has no len()`);
  if (size === 0) return new Undefined('No random item, sequence was empty.');
  return itemOf(operand, BigInt(Math.floor(Math.random() * size)), budget);
};

const list: Filter = (operand, _args, { budget }: FilterContext) => new List(iterate(operand, budget));

/** Jinja's filters on lists and mappings. */
export const LIST_FILTERS: readonly (readonly [string, Filter])[] = [
  ['select', selection(true, false)],
  ['reject', selection(false, false)],
  ['selectattr', selection(true, true)],
  ['rejectattr', selection(false, true)],
  ['map', (operand, args, context) => new Generator(mapped(operand, args, context))],
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
  ['items', (operand) => new Generator(pairs(operand))],
  ['batch', batch],
  ['slice', slice],
  ['random', random],
  ['list', list],
];
