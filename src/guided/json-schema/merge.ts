import { isDeepStrictEqual } from 'node:util';
import { isObject } from '../../is-object.js';
import type { Place, Schema, SchemaObject } from './schema.js';

/** Keywords of which the larger, or the smaller, holds for both. */
const LARGER = ['minimum', 'exclusiveMinimum', 'minLength', 'minItems', 'minProperties'];
const SMALLER = ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems', 'maxProperties'];
/** Keywords that say nothing about a value. */
const ANNOTATIONS = new Set([
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
  '$comment',
  '$schema',
  '$id',
  '$defs',
  'definitions',
]);

export const isAnnotation = (keyword: string): boolean => ANNOTATIONS.has(keyword);

/** What both schemas allow. Neither has a $ref or an allOf of its own any more. */
export function merge(a: Schema, b: Schema, place: Place): Schema {
  if (a === false || b === false) return false;
  if (a === true) return b;
  if (b === true) return a;
  const merged: Record<string, unknown> = { ...withoutAnnotations(a) };
  for (const [keyword, value] of Object.entries(withoutAnnotations(b))) {
    const other = merged[keyword];
    merged[keyword] =
      other === undefined || isDeepStrictEqual(other, value)
        ? value
        : mergeKeyword(keyword, other, value, place);
  }
  const isTuple = ({ items, prefixItems }: SchemaObject): boolean =>
    prefixItems !== undefined || Array.isArray(items);
  const hasItems = (schema: SchemaObject): boolean => isTuple(schema) || schema.items !== undefined;
  // An item that one of them lists is also one of the other's items.
  if ((isTuple(a) && hasItems(b)) || (isTuple(b) && hasItems(a))) place.refuse('prefixItems inside allOf');
  mergeLiterals(a, b, merged);
  mergeProperties(a, b, merged, place);
  return merged;
}

const withoutAnnotations = (schema: SchemaObject): SchemaObject =>
  Object.fromEntries(Object.entries(schema).filter(([keyword]) => !isAnnotation(keyword)));

function mergeKeyword(keyword: string, a: unknown, b: unknown, place: Place): unknown {
  if (LARGER.includes(keyword)) return Math.max(Number(a), Number(b));
  if (SMALLER.includes(keyword)) return Math.min(Number(a), Number(b));
  switch (keyword) {
    case 'type':
      return mergeTypes(a, b);
    case 'required':
      return [...new Set([...(a as unknown[]), ...(b as unknown[])])];
    case 'items':
    case 'additionalProperties':
    case 'propertyNames':
      return { allOf: [a, b] };
    case 'anyOf':
    case 'oneOf':
      return place.refuse(`${keyword} in two parts of allOf`);
    // These have rules of their own.
    case 'enum':
    case 'const':
    case 'properties':
    case 'patternProperties':
      return undefined;
    default:
      return place.refuse(`two different values of ${keyword} at once`);
  }
}

function mergeTypes(a: unknown, b: unknown): unknown[] {
  const [left, right] = [a, b].map((types): unknown[] => (Array.isArray(types) ? types : [types]));
  const has = (types: unknown[] | undefined, type: unknown): boolean => types?.includes(type) ?? false;
  const both = (left ?? []).filter(
    (type) => has(right, type) || (type === 'integer' && has(right, 'number')),
  );
  const narrowed = (right ?? []).filter((type) => type === 'integer' && has(left, 'number'));
  return [...new Set([...both, ...narrowed])];
}

/** `const` and `enum` as one list of values. */
function mergeLiterals(a: SchemaObject, b: SchemaObject, merged: Record<string, unknown>): void {
  const lists = [a, b].flatMap((schema) => [
    ...('const' in schema ? [[schema.const]] : []),
    ...(Array.isArray(schema.enum) ? [schema.enum as unknown[]] : []),
  ]);
  if (lists.length < 2) return;
  delete merged.const;
  merged.enum = lists.reduce((kept, list) =>
    kept.filter((value) => list.some((other) => isDeepStrictEqual(other, value))),
  );
}

/** A property that only one of them names is also one of the other's additional properties. */
function mergeProperties(
  a: SchemaObject,
  b: SchemaObject,
  merged: Record<string, unknown>,
  place: Place,
): void {
  if (a.patternProperties !== undefined && b.patternProperties !== undefined)
    place.refuse('patternProperties in two parts of allOf');
  const [left, right] = [place.record(a, 'properties'), place.record(b, 'properties')];
  const names = [...new Set([...Object.keys(left), ...Object.keys(right)])];
  if (names.length === 0) return;
  const of = (schema: SchemaObject, properties: SchemaObject, name: string): unknown => {
    if (Object.hasOwn(properties, name)) return properties[name];
    if (isObject(schema.patternProperties)) return place.refuse('patternProperties inside allOf');
    return schema.additionalProperties ?? true;
  };
  merged.properties = Object.fromEntries(
    names.map((name) => {
      const parts = [of(a, left, name), of(b, right, name)].filter((part) => part !== true);
      return [name, parts.length === 0 ? true : parts.length === 1 ? parts[0] : { allOf: parts }];
    }),
  );
}
