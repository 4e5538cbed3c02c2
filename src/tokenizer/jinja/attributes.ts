import { bind, textArgument, wholeOf } from './arguments.js';
import type { Budget } from './budget.js';
import { decode } from './bytes.js';
import { isEqual } from './comparison.js';
import { formatBraces } from './format.js';
import { isNumeric, iterate, textOf } from './iteration.js';
import { numberAttribute } from './number-attributes.js';
import { STRING_METHODS } from './string-methods.js';
import { toRepr, toText } from './text.js';
import {
  Bytes,
  type CallArguments,
  Callable,
  codePoints,
  Dict,
  DictView,
  List,
  Loop,
  Namespace,
  Range,
  TemplateRuntimeError,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from './values.js';

/** A slice of a list or a text, `[start:stop:step]`. */
export class Slice {
  constructor(
    readonly start: Value | undefined,
    readonly stop: Value | undefined,
    readonly step: Value | undefined,
  ) {}
}

/** Methods that change their object: the sandbox knows them, and refuses their use. */
const CHANGING_METHODS: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['list', new Set(['append', 'clear', 'extend', 'insert', 'pop', 'remove', 'reverse', 'sort'])],
  ['dict', new Set(['clear', 'pop', 'popitem', 'setdefault', 'update'])],
]);

/** `object.name`: an attribute, or else the item of that name. */
export function attributeOf(object: Value, name: string, budget: Budget): Value {
  if (object instanceof Undefined) return object.fail();
  // None is a value like any other, so nothing here may be taken for absent but `undefined`.
  const attribute = ownAttribute(object, name, budget);
  const found = attribute === undefined && object instanceof Dict ? object.get(name) : attribute;
  return found === undefined ? missing(object, name, budget) : found;
}

/** `object[index]`: an item, or else, for a text, the attribute of that name. */
export function itemOf(object: Value, index: Value | Slice, budget: Budget): Value {
  if (object instanceof Undefined) return object.fail();
  if (index instanceof Slice) return sliceOf(object, index, budget);
  if (object instanceof Dict) {
    const found = isHashable(index) ? object.get(index) : undefined;
    if (found !== undefined) return found;
  }
  if (typeof index === 'bigint' || typeof index === 'boolean') {
    const found = atIndex(object, Number(index));
    if (found !== undefined) return found;
  }
  const name = textOf(index);
  const attribute = name === undefined ? undefined : ownAttribute(object, name, budget);
  return attribute === undefined ? missing(object, index, budget) : attribute;
}

function isHashable(value: Value): boolean {
  return !(value instanceof List || value instanceof Dict || value instanceof DictView);
}

/** An item by its place, from the end for negative ones; undefined where there is none. */
export function atIndex(object: Value, index: number): Value | undefined {
  if (object instanceof List || object instanceof Tuple) return object.items.at(index);
  if (object instanceof Bytes) return bytesAt(object, index);
  if (object instanceof Range) {
    const at = index < 0 ? index + object.length : index;
    return at >= 0 && at < object.length ? object.start + BigInt(at) * object.step : undefined;
  }
  const text = textOf(object);
  return text === undefined ? undefined : codePoints(text).at(index);
}

function bytesAt({ data }: Bytes, index: number): bigint | undefined {
  const byte = data.at(index);
  return byte === undefined ? undefined : BigInt(byte);
}

function missing(object: Value, name: Value, budget: Budget): Undefined {
  const quoted = toRepr(name, budget).slice(0, 80);
  const subject = typeof name === 'string' ? 'attribute' : 'element';
  return new Undefined(`'${typeName(object)} object' has no ${subject} ${quoted}`);
}

function ownAttribute(object: Value, name: string, budget: Budget): Value | undefined {
  const type = typeName(object);
  if (name.startsWith('_') || CHANGING_METHODS.get(type)?.has(name)) {
    const isOwn = /^__(class|doc|dir|eq|init|hash|repr|str|len|iter)__$/.test(name) || !name.startsWith('_');
    return isOwn ? new Undefined(`access to attribute '${name}' of '${type}' object is unsafe.`) : undefined;
  }
  if (object instanceof Namespace) return object.attributes.get(name);
  if (object instanceof Loop) return loopAttribute(object, name, budget);
  if (object instanceof Callable) return object.attributes.get(name);
  const method = (call: (args: CallArguments) => Value): Callable => new Callable(name, call);
  const text = textOf(object);
  if (text !== undefined) {
    const found = STRING_METHODS.get(name);
    if (found !== undefined) return method((args) => found(text, args, budget));
    return name === 'format' || name === 'format_map'
      ? method((args) => format(text, name, args, budget))
      : undefined;
  }
  if (object instanceof Dict) return dictMethod(object, name, budget, method);
  if (object instanceof List || object instanceof Tuple || object instanceof Range) {
    if (name === 'index' || name === 'count') return method((args) => search(object, name, args, budget));
    if (name === 'copy' && object instanceof List) return method(() => object);
    if (object instanceof Range && (name === 'start' || name === 'stop' || name === 'step'))
      return object[name];
  }
  if (object instanceof Bytes && name === 'decode') return method((args) => decode(object, args, budget));
  if (object instanceof Bytes && name === 'hex')
    return method(() => Buffer.from(object.data).toString('hex'));
  if (isNumeric(object)) return numberAttribute(object, name);
  return undefined;
}

function dictMethod(
  dict: Dict,
  name: string,
  budget: Budget,
  method: (call: (args: CallArguments) => Value) => Callable,
): Callable | undefined {
  switch (name) {
    case 'keys':
    case 'values':
    case 'items':
      return method(() => new DictView(name, dict));
    case 'get':
      return method((args) => {
        const { key = null, default: fallback = null } = bind('get', args, 'key', 'default?');
        const found = dict.get(key);
        return found === undefined ? fallback : found;
      });
    case 'copy':
      return method(() => dict);
    case 'fromkeys':
      return method((args) => fromKeys(args, budget));
    default:
      return undefined;
  }
}

/** `dict.fromkeys`: a mapping of these keys to one value. */
export function fromKeys(args: CallArguments, budget: Budget): Dict {
  const { iterable = null, value = null } = bind('fromkeys', args, 'iterable', 'value?');
  return new Dict(iterate(iterable, budget).map((key) => [key, value] as const));
}

function search(object: List | Tuple | Range, name: string, args: CallArguments, budget: Budget): Value {
  const given = name === 'count' ? bind(name, args, 'value') : bind(name, args, 'value', 'start?', 'stop?');
  const { value = null, start }: { value?: Value; start?: Value } = given;
  const items = iterate(object, budget);
  if (name === 'count') return BigInt(items.filter((item) => isEqual(item, value, budget)).length);
  const first = wholeOf(start, 0);
  const at = items.findIndex((item, index) => index >= first && isEqual(item, value, budget));
  if (at < 0) throw new TemplateRuntimeError(`${toRepr(value, budget).slice(0, 80)} is not in list`);
  return BigInt(at);
}

function format(text: string, name: string, args: CallArguments, budget: Budget): string {
  const [mapping] = args.positional;
  const isMap = name === 'format_map' && mapping instanceof Dict;
  return formatBraces(
    text,
    {
      positional: isMap ? [] : args.positional,
      named: (key) => (isMap ? mapping.get(key) : args.keyword.get(key)),
      attribute: (object, key) => attributeOf(object, key, budget),
      item: (object, index) => itemOf(object, index, budget),
    },
    budget,
  );
}

function loopAttribute(loop: Loop, name: string, budget: Budget): Value | undefined {
  const { index0, items, depth0 } = loop;
  const { length } = items;
  const outside = (which: string): Undefined => new Undefined(`there is no ${which} item`);
  switch (name) {
    case 'index':
      return BigInt(index0 + 1);
    case 'index0':
      return BigInt(index0);
    case 'revindex':
      return BigInt(length - index0);
    case 'revindex0':
      return BigInt(length - index0 - 1);
    case 'first':
      return index0 === 0;
    case 'last':
      return index0 === length - 1;
    case 'length':
      return BigInt(length);
    case 'depth':
      return BigInt(depth0 + 1);
    case 'depth0':
      return BigInt(depth0);
    case 'previtem':
      return loop.index0 > 0 ? items[index0 - 1] : outside('previous');
    case 'nextitem':
      return index0 + 1 < length ? items[index0 + 1] : outside('next');
    case 'cycle':
      return new Callable('cycle', ({ positional }) => {
        if (positional.length === 0) throw new TemplateRuntimeError('no items for cycling given');
        return positional[index0 % positional.length] as Value;
      });
    case 'changed':
      return new Callable('changed', ({ positional }) =>
        loop.hasChanged(new Tuple(positional), (left, right) => isEqual(left, right, budget)),
      );
    default:
      return undefined;
  }
}

function sliceOf(object: Value, { start, stop, step }: Slice, budget: Budget): Value {
  const text = textOf(object);
  const points: string | readonly Value[] | undefined =
    text !== undefined
      ? codePoints(text)
      : object instanceof List || object instanceof Tuple
        ? object.items
        : object instanceof Range
          ? object.items()
          : undefined;
  if (points === undefined)
    throw new TemplateRuntimeError(`'${typeName(object)}' object is not subscriptable`);
  const isGiven = (bound: Value | undefined): bound is Value => bound !== undefined && bound !== null;
  for (const bound of [start, stop, step]) {
    if (isGiven(bound) && typeof bound !== 'bigint' && typeof bound !== 'boolean')
      throw new TemplateRuntimeError('slice indices must be integers or None');
  }
  const stride = isGiven(step) ? Number(step) : 1;
  if (stride === 0) throw new TemplateRuntimeError('slice step cannot be zero');
  const { length } = points;
  const [low, high] = stride > 0 ? [0, length] : [-1, length - 1];
  const place = (bound: Value | undefined, fallback: number): number => {
    if (!isGiven(bound)) return fallback;
    // Larger than any length is as good as the length.
    const at = Number(bound);
    return Math.min(Math.max(at < 0 ? at + length : at, low), high);
  };
  const [first, end] = [place(start, stride > 0 ? 0 : length - 1), place(stop, stride > 0 ? length : -1)];
  if (stride === 1 && typeof points === 'string') {
    budget.payString(Math.max(0, end - first));
    return points.slice(first, Math.max(first, end));
  }
  if (object instanceof Range) {
    const at = (place: number): bigint => object.start + BigInt(place) * object.step;
    return new Range(at(first), at(end), object.step * BigInt(stride));
  }
  budget.payItems(Math.max(0, Math.min(length, Math.ceil((end - first) / stride))));
  const items: Value[] = [];
  for (let at = first; stride > 0 ? at < end : at > end; at += stride) items.push(points[at] as Value);
  if (text !== undefined) return items.join('');
  return object instanceof Tuple ? new Tuple(items) : new List(items);
}

/** `object | attr(name)`: an attribute only, never an item. */
export function onlyAttribute(object: Value, name: Value, budget: Budget): Value {
  const key = textArgument(name, budget) ?? toText(name, budget);
  if (object instanceof Undefined) return object.fail();
  const found = ownAttribute(object, key, budget);
  return found === undefined ? missing(object, key, budget) : found;
}

/** A dotted path, as `map(attribute="a.b")` takes it; whole numbers in it are places. */
export function followPath(object: Value, path: Value, budget: Budget, fallback?: Value): Value {
  const parts: Value[] =
    typeof path === 'string'
      ? path.split('.').map((part) => (/^\d+$/.test(part) ? BigInt(part) : part))
      : [path];
  let value = object;
  for (const part of parts) {
    value = itemOf(value, part, budget);
    if (value instanceof Undefined && fallback !== undefined) value = fallback;
  }
  return value;
}
