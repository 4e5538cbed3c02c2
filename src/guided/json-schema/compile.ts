import { AtbError } from '../../errors.js';
import { isObject } from '../../is-object.js';
import { choice, type Expression, NOTHING, type Rules, repeat, rule, sequence, text } from '../expression.js';
import { arrayExpression, objectExpression, type SchemaWriter } from './containers.js';
import { areAllDisjoint } from './disjoint.js';
import { isAnnotation, merge } from './merge.js';
import { NUMBER, numberExpression } from './numbers.js';
import { type JsonType, Place, type Schema, type SchemaObject } from './schema.js';
import { STRING, STRING_RULES, stringExpression } from './strings.js';

/** Schemas that one may consist of, references followed, and how deep they may lie in one another. */
const MAX_SCHEMAS = 20_000;
const MAX_DEPTH = 200;

/**
 * White space between the parts of a value: none, a blank, or one or two new lines and up to 20 blanks. More is never
 * needed, and a model that may write any amount may write nothing else.
 */
const SPACE: Expression = choice(
  NOTHING,
  text(' '),
  sequence(repeat(text('\n'), 1, 2), repeat(choice(text(' '), text('\t')), 0, 20)),
);

/**
 * The texts of a JSON schema (draft 2020-12, and what draft 7 writes otherwise). Objects have their properties in the
 * order of the schema; keys beyond those that it names are written without escapes. `oneOf` wants alternatives that
 * plainly exclude one another.
 * @throws GUIDE_INVALID, GUIDE_UNSUPPORTED for a keyword that a grammar cannot keep, GUIDE_TOO_LARGE
 */
export function compileJsonSchema(schema: unknown): Rules {
  return new SchemaCompiler(schema).compile();
}

/** Any JSON object: what `response_format: { type: 'json_object' }` asks for. */
export function jsonObjectRules(): Rules {
  return compileJsonSchema({ type: 'object' });
}

class SchemaCompiler implements SchemaWriter {
  readonly space = rule('space');
  readonly #root: unknown;
  readonly #rules = new Map<string, Expression>([...STRING_RULES, ['space', SPACE]]);
  /** Rules of references, by pointer; undefined for one that allows nothing. */
  readonly #references = new Map<string, Expression | undefined>();
  #count = 0;
  #depth = 0;

  constructor(schema: unknown) {
    this.#root = schema;
  }

  compile(): Rules {
    const place = new Place();
    const value = this.value({ $ref: '#' }, place);
    this.#rules.set('root', value ?? place.fail('it allows no value'));
    return { root: 'root', rules: this.#rules };
  }

  value(given: unknown, place: Place): Expression | undefined {
    this.#tally();
    if (++this.#depth > MAX_DEPTH) place.fail(`it is nested more than ${MAX_DEPTH} deep`);
    try {
      const schema = place.schema(given);
      if (isObject(schema) && typeof schema.$ref === 'string' && isAlone(schema, '$ref'))
        return this.#reference(schema.$ref, place);
      return this.#plain(this.#flat(schema, place, 0), place);
    } finally {
      this.#depth--;
    }
  }

  #tally(schemas = 1): void {
    this.#count += schemas;
    if (this.#count > MAX_SCHEMAS)
      throw new AtbError('GUIDE_TOO_LARGE', { what: 'schemas', limit: MAX_SCHEMAS });
  }

  named = (expression: Expression): Expression => {
    const name = `r${this.#rules.size}`;
    this.#rules.set(name, expression);
    return rule(name);
  };

  /** A schema that may refer to itself is a rule, which is called before it is made. */
  #reference(pointer: string, place: Place): Expression | undefined {
    if (this.#references.has(pointer)) return this.#references.get(pointer);
    const name = `ref${this.#references.size}`;
    this.#references.set(pointer, rule(name));
    const value = this.#plain(
      this.#flat(this.#resolve(pointer, place), new Place(pointer), 0),
      new Place(pointer),
    );
    // Those that call it meanwhile are never whole either.
    this.#rules.set(name, value ?? choice());
    if (value === undefined) this.#references.set(pointer, undefined);
    return value && rule(name);
  }

  #resolve(pointer: string, place: Place): Schema {
    if (pointer !== '#' && !pointer.startsWith('#/'))
      return place.refuse(`$ref to ${JSON.stringify(pointer)}, outside the schema`);
    let found = this.#root;
    for (const step of pointer.split('/').slice(1)) {
      const key = decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~');
      const inner = typeof found === 'object' && found !== null && Object.hasOwn(found, key);
      if (!inner) return place.fail(`$ref to ${JSON.stringify(pointer)}: there is no such schema`);
      found = (found as Record<string, unknown>)[key];
    }
    return new Place(pointer).schema(found);
  }

  /** The schema without $ref and allOf of its own: what they say is merged into it. */
  #flat(schema: Schema, place: Place, depth: number): Schema {
    if (typeof schema === 'boolean') return schema;
    if (depth > MAX_DEPTH) return place.fail('allOf and $ref go round in a circle');
    // Two references in each of two dozen schemas, the next one both, are millions.
    this.#tally();
    const { $ref, allOf, ...own } = schema;
    let flat: Schema = own;
    if (typeof $ref === 'string')
      flat = merge(flat, this.#flat(this.#resolve($ref, place), place, depth + 1), place);
    if (allOf !== undefined)
      for (const [i, part] of place.list(schema, 'allOf').entries()) {
        const inner = place.at('allOf', i);
        flat = merge(flat, this.#flat(inner.schema(part), inner, depth + 1), place);
        // All that came before is looked through each time.
        if (isObject(flat)) this.#tally(Object.keys(place.record(flat, 'properties')).length);
      }
    return flat;
  }

  #plain(schema: Schema, place: Place): Expression | undefined {
    if (schema === false) return undefined;
    if (schema === true) return this.#anything();
    for (const keyword of ['anyOf', 'oneOf'] as const)
      if (schema[keyword] !== undefined) return this.#alternatives(schema, keyword, place);
    if ('const' in schema) return this.#literals([schema.const], schema, place);
    if (schema.enum !== undefined) return this.#literals(place.list(schema, 'enum'), schema, place);
    const options = place
      .types(schema)
      .map((type) => this.#typed(type, schema, place))
      .filter((option) => option !== undefined);
    return options.length === 0 ? undefined : this.named(choice(...options));
  }

  #alternatives(schema: SchemaObject, keyword: 'anyOf' | 'oneOf', place: Place): Expression | undefined {
    const { [keyword]: _, ...own } = schema;
    const given = place.list(schema, keyword);
    const flat = (alternative: unknown, i: number): Schema => {
      const inner = place.at(keyword, i);
      return merge(own, this.#flat(inner.schema(alternative), inner, 0), inner);
    };
    // What stands alone is not merged, so that an alternative may refer to the schema itself.
    const merged = isAlone(schema, keyword) ? given : given.map(flat);
    if (keyword === 'oneOf' && !areAllDisjoint(given.map(flat), place))
      place.refuse(
        'oneOf whose alternatives do not plainly exclude one another; anyOf says the same where one is enough',
      );
    const options = merged
      .map((alternative, i) => this.value(alternative, place.at(keyword, i)))
      .filter((option) => option !== undefined);
    return options.length === 0 ? undefined : choice(...options);
  }

  #literals(values: readonly unknown[], schema: SchemaObject, place: Place): Expression | undefined {
    const types = place.types(schema);
    const kept = values.filter((value) => types.some((type) => isOfType(value, type)));
    for (const keyword of ['minimum', 'maximum', 'pattern', 'minLength', 'maxLength', 'required', 'items'])
      if (schema[keyword] !== undefined) place.refuse(`${keyword} beside enum or const`);
    return kept.length === 0 ? undefined : choice(...kept.map((value) => this.#literal(value)));
  }

  #literal(value: unknown): Expression {
    if (typeof value !== 'object' || value === null) return text(JSON.stringify(value));
    const { space } = this;
    const written = Array.isArray(value)
      ? value.map((item) => [this.#literal(item), space])
      : Object.entries(value).map(([key, item]) => [
          ...[text(JSON.stringify(key)), space, text(':'), space],
          ...[this.#literal(item), space],
        ]);
    const parts = written.flatMap((part, i) => (i === 0 ? part : [text(','), space, ...part]));
    const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
    return sequence(text(open), space, ...parts, text(close));
  }

  #typed(type: JsonType, schema: SchemaObject, place: Place): Expression | undefined {
    switch (type) {
      case 'null':
        return text('null');
      case 'boolean':
        return choice(text('true'), text('false'));
      case 'integer':
      case 'number':
        return numberExpression(schema, type === 'integer', place);
      case 'string':
        return stringExpression(schema, place);
      case 'array':
        return arrayExpression(schema, place, this);
      case 'object':
        return objectExpression(schema, place, this);
    }
  }

  /** Any JSON value, as one rule. */
  #anything(): Expression {
    if (!this.#rules.has('value')) {
      const { space } = this;
      const listed = (item: Expression): Expression =>
        repeat(sequence(item, space, repeat(sequence(text(','), space, item, space), 0)), 0, 1);
      const pair = sequence(STRING, space, text(':'), space, rule('value'));
      const options = [
        sequence(text('{'), space, listed(pair), text('}')),
        sequence(text('['), space, listed(rule('value')), text(']')),
        STRING,
        NUMBER,
        text('true'),
        text('false'),
        text('null'),
      ];
      this.#rules.set('value', choice(...options));
    }
    return rule('value');
  }
}

/** Whether the schema says nothing beside one keyword. */
const isAlone = (schema: SchemaObject, keyword: string): boolean =>
  Object.keys(schema).every((key) => key === keyword || isAnnotation(key));

function isOfType(value: unknown, type: JsonType): boolean {
  switch (type) {
    case 'integer':
      return Number.isInteger(value);
    case 'array':
      return Array.isArray(value);
    case 'object':
      return isObject(value);
    case 'null':
      return value === null;
    default:
      return typeof value === type;
  }
}
