import { isObject } from '../is-object.js';
import { readPythonValue } from './python-json.js';

/** What tools take, by their names: JSON schemas of objects. */
export type ToolParameters = ReadonlyMap<string, unknown>;

/** Schemas of one another's alternatives that are looked into. */
const MAX_DEPTH = 8;

/**
 * The value of an argument that stands without quotes, as formats of XML have it, as JSON. The tool says of what type it is:
 * a text of digits stays a text where a text is asked for. Where it does not say, JSON is what it reads as, and stays as it
 * is written. What is of none of the types is the text, for the tool to refuse.
 */
export function looseJson(text: string, tool: string, argument: string, parameters: ToolParameters): string {
  const types = typesOf(propertyOf(parameters.get(tool), argument), 0);
  const found = readValue(text, types);
  const isOfType = found !== undefined && (types.size === 0 || types.has(typeOf(found.value, types)));
  const isText = types.has('string') && found?.value !== null;
  return isOfType && !isText ? found.json : JSON.stringify(text);
}

/** Whether an argument is a text and nothing else, whatever stands in its place. */
export function isTextOnly(tool: string, argument: string, parameters: ToolParameters): boolean {
  const types = typesOf(propertyOf(parameters.get(tool), argument), 0);
  return types.size === 1 && types.has('string');
}

/** JSON, or where a value of the type is asked for, as Python writes it: models of code do. */
function readValue(
  text: string,
  types: ReadonlySet<string>,
): { readonly value: unknown; readonly json: string } | undefined {
  try {
    return { value: JSON.parse(text) as unknown, json: text.trim() };
  } catch {
    const json = types.size > 0 && !types.has('string') ? readPythonValue(text) : undefined;
    return json === undefined ? undefined : { value: JSON.parse(json) as unknown, json };
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
