import { AtbError } from '../../errors.js';
import { isObject } from '../../is-object.js';

/** A JSON schema: an object of keywords, or whether anything is allowed at all. */
export type Schema = boolean | SchemaObject;
export type SchemaObject = Readonly<Record<string, unknown>>;

export type JsonType = 'null' | 'boolean' | 'integer' | 'number' | 'string' | 'array' | 'object';
export const JSON_TYPES: readonly JsonType[] = ['object', 'array', 'string', 'number', 'boolean', 'null'];

/** Keywords that say something and that a grammar of this kind cannot keep. Others that are unknown are annotations. */
const UNSUPPORTED = [
  'not',
  'if',
  'dependentRequired',
  'dependentSchemas',
  'dependencies',
  'contains',
  'unevaluatedProperties',
  'unevaluatedItems',
  '$dynamicRef',
  '$recursiveRef',
];

/** Where a schema stands in the whole one, as a JSON pointer: "#/properties/name". */
export class Place {
  readonly pointer: string;

  constructor(pointer = '#') {
    this.pointer = pointer;
  }

  at(...keys: readonly (string | number)[]): Place {
    const steps = keys.map((key) => String(key).replaceAll('~', '~0').replaceAll('/', '~1'));
    return new Place([this.pointer, ...steps].join('/'));
  }

  fail(problem: string): never {
    throw new AtbError('GUIDE_INVALID', { what: `JSON schema, ${this.pointer}`, problem });
  }

  refuse(found: string): never {
    throw new AtbError('GUIDE_UNSUPPORTED', { what: `JSON schema, ${this.pointer}`, found });
  }

  /** A schema, with the keywords that are refused refused. */
  schema(value: unknown): Schema {
    if (typeof value === 'boolean') return value;
    if (!isObject(value)) return this.fail('a schema must be an object, true or false');
    for (const keyword of UNSUPPORTED) if (value[keyword] !== undefined) this.refuse(keyword);
    return value;
  }

  list(schema: SchemaObject, keyword: string): readonly unknown[] {
    const value = schema[keyword];
    return Array.isArray(value) ? value : this.fail(`${keyword} must be a list`);
  }

  /** A record of schemas; empty when there is none. */
  record(schema: SchemaObject, keyword: string): SchemaObject {
    const value = schema[keyword] ?? {};
    return isObject(value) ? value : this.fail(`${keyword} must be an object`);
  }

  count(schema: SchemaObject, keyword: string): number | undefined {
    const value = schema[keyword];
    if (value === undefined) return undefined;
    return Number.isSafeInteger(value) && (value as number) >= 0
      ? (value as number)
      : this.fail(`${keyword} must be a whole number`);
  }

  number(schema: SchemaObject, keyword: string): number | undefined {
    const value = schema[keyword];
    if (value === undefined) return undefined;
    return typeof value === 'number' && Number.isFinite(value)
      ? value
      : this.fail(`${keyword} must be a number`);
  }

  strings(schema: SchemaObject, keyword: string): readonly string[] {
    if (schema[keyword] === undefined) return [];
    const list = this.list(schema, keyword);
    return list.every((name) => typeof name === 'string') ? list : this.fail(`${keyword} must hold strings`);
  }

  types(schema: SchemaObject): readonly JsonType[] {
    const { type } = schema;
    if (type === undefined) return JSON_TYPES;
    const types: readonly unknown[] = Array.isArray(type) ? type : [type];
    for (const name of types)
      if (name !== 'integer' && !JSON_TYPES.includes(name as JsonType))
        this.fail(`type must be one of integer, ${JSON_TYPES.join(', ')}`);
    return types as readonly JsonType[];
  }
}
