import { isObject } from '../is-object.js';
import { readPythonValue } from './python-calls.js';

/** What tools take, by their names: JSON schemas of objects. */
export type ToolParameters = ReadonlyMap<string, unknown>;

/** Schemas of one another's alternatives that are looked into. */
const MAX_DEPTH = 8;

/**
 * The value of an argument that stands without quotes, as formats of XML have it. The tool says of what type it is: a text
 * of digits stays a text where a text is asked for. Where it does not say, JSON is what it reads as. What is of none of
 * the types is the text, for the tool to refuse.
 */
export function looseValue(
  text: string,
  tool: string,
  argument: string,
  parameters: ToolParameters,
): unknown {
  const types = typesOf(propertyOf(parameters.get(tool), argument), 0);
  const value = readValue(text, types);
  if (types.size === 0) return value === undefined ? text : value;
  if (types.has('string')) return types.has('null') && value === null ? null : text;
  return value !== undefined && types.has(typeOf(value, types)) ? value : text;
}

/** JSON, or where a value of the type is asked for, as Python writes it: models of code do. */
function readValue(text: string, types: ReadonlySet<string>): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return types.size > 0 && !types.has('string') ? readPythonValue(text)?.[0] : undefined;
  }
}

function propertyOf(schema: unknown, name: string): unknown {
  const properties = isObject(schema) && isObject(schema.properties) ? schema.properties : {};
  return Object.hasOwn(properties, name) ? properties[name] : undefined;
}

/** The types that a schema names, by itself, by its alternatives, or by its values; none: any. */
function typesOf(schema: unknown, depth: number): Set<string> {
  if (!isObject(schema) || depth > MAX_DEPTH) return new Set();
  const { type, anyOf, oneOf, enum: values } = schema;
  if (typeof type === 'string' || Array.isArray(type)) return new Set([type].flat().map(String));
  const alternatives = [anyOf, oneOf].find(Array.isArray) as unknown[] | undefined;
  if (alternatives !== undefined) {
    const found = alternatives.map((one) => typesOf(one, depth + 1));
    return found.some(({ size }) => size === 0) ? new Set() : new Set(found.flatMap((one) => [...one]));
  }
  const given = Array.isArray(values) ? values : Object.hasOwn(schema, 'const') ? [schema.const] : [];
  return new Set(given.map((value) => typeOf(value, new Set())));
}

function typeOf(value: unknown, among: ReadonlySet<string>): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (Number.isInteger(value) && !among.has('number')) return 'integer';
  return typeof value;
}
