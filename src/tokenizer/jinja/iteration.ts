import type { Budget } from './budget.js';
import {
  Bytes,
  codePoints,
  Dict,
  DictView,
  Generator,
  List,
  Loop,
  Markup,
  Range,
  TemplateRuntimeError,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from './values.js';

export function isTrue(value: Value): boolean {
  if (value === null || value instanceof Undefined) return false;
  if (typeof value === 'boolean') return value;
  if (typeof value === 'bigint') return value !== 0n;
  if (typeof value === 'number') return value !== 0;
  if (typeof value === 'string') return value !== '';
  return lengthOf(value) !== 0;
}

/** Python's `len()`; undefined for what has none. */
export function lengthOf(value: Value): number | undefined {
  if (typeof value === 'string') return codePoints(value).length;
  if (value instanceof Markup) return codePoints(value.text).length;
  if (value instanceof List || value instanceof Tuple || value instanceof Loop) return value.items.length;
  if (value instanceof Dict) return value.size;
  if (value instanceof DictView) return value.dict.size;
  if (value instanceof Range) return value.length;
  if (value instanceof Bytes) return value.data.length;
  if (value instanceof Undefined) return 0;
  return undefined;
}

/** The items that a loop goes through; undefined for what is no iterable. A generator is used up by it. */
export function itemsOf(value: Value, budget: Budget): readonly Value[] | undefined {
  if (value instanceof List || value instanceof Tuple) return value.items;
  if (value instanceof Generator) return budget.nested(() => value.take());
  budget.payItems(lengthOf(value) ?? 0);
  if (typeof value === 'string') return Array.from(value);
  if (value instanceof Markup) return Array.from(value.text);
  if (value instanceof Bytes) return Array.from(value.data, BigInt);
  if (value instanceof Dict) return value.keys();
  if (value instanceof DictView || value instanceof Range) return value.items();
  if (value instanceof Undefined) return [];
  return undefined;
}

export function iterate(value: Value, budget: Budget): readonly Value[] {
  const items = itemsOf(value, budget);
  if (items === undefined) throw new TemplateRuntimeError(`'${typeName(value)}' object is not iterable`);
  return items;
}

/** A string, marked as HTML or not. */
export function textOf(value: Value): string | undefined {
  if (typeof value === 'string') return value;
  return value instanceof Markup ? value.text : undefined;
}

export function isNumeric(value: Value): value is boolean | bigint | number {
  return typeof value === 'boolean' || typeof value === 'bigint' || typeof value === 'number';
}

/** True and False count as 1 and 0. */
export function numberOf(value: boolean | bigint | number): bigint | number {
  return typeof value === 'boolean' ? BigInt(value) : value;
}
