import { runWithin, TimeLimitExceeded } from '../../bounded.js';
import { choice, type Expression, NOTHING, optional, repeat, sequence, text } from '../expression.js';
import { parseRegex } from '../regex.js';
import type { Place, SchemaObject } from './schema.js';
import { inJson, otherKey, quoted, stringExpression } from './strings.js';

/** What the writers of objects and lists need of the compiler. */
export interface SchemaWriter {
  /** The values of a schema; undefined when there is none. */
  value(schema: unknown, place: Place): Expression | undefined;
  /** Makes a rule of its own of an expression. */
  named(expression: Expression): Expression;
  /** White space between the parts of a value. */
  readonly space: Expression;
}

const KEY_KEYWORDS = ['type', 'enum', 'const', 'pattern', 'format', 'minLength', 'maxLength'];
const PATTERN_LIMIT_MS = 100;

interface Member {
  readonly text: Expression;
  readonly isRequired: boolean;
}

/**
 * Objects: the named properties in the order of the schema, then further ones. Undefined: there is no such object.
 */
export function objectExpression(
  schema: SchemaObject,
  place: Place,
  writer: SchemaWriter,
): Expression | undefined {
  const properties = place.record(schema, 'properties');
  const required = place.strings(schema, 'required');
  const names = [...new Set([...Object.keys(properties), ...required])];
  const sure = new Set(required);
  const members: Member[] = [];
  for (const name of names) {
    const isNamed = Object.hasOwn(properties, name);
    const value = isNamed
      ? writer.value(properties[name], place.at('properties', name))
      : writer.value(schema.additionalProperties ?? true, place.at('additionalProperties'));
    const isRequired = sure.has(name);
    if (value === undefined && isRequired) return undefined;
    if (value !== undefined)
      members.push({ text: member(text(JSON.stringify(name)), value, writer), isRequired });
  }
  const further = furtherMember(schema, names, place, writer);
  const [min, max] = counts(schema, members, further !== undefined, place);
  const body = membersExpression(members, further, min, max, writer);
  return sequence(text('{'), writer.space, body, text('}'));
}

const member = (key: Expression, value: Expression, { space, named }: SchemaWriter): Expression =>
  named(sequence(key, space, text(':'), space, value));

/** Members that the schema does not name; undefined when there are none. */
function furtherMember(
  schema: SchemaObject,
  names: readonly string[],
  place: Place,
  writer: SchemaWriter,
): Expression | undefined {
  const patterns = Object.entries(place.record(schema, 'patternProperties'));
  const options: Expression[] = [];
  for (const [pattern, inner] of patterns) {
    const key = quoted(parseRegex(pattern, { isSearch: true, write: inJson }));
    const matching = findMatch(pattern, names, place);
    if (matching !== undefined) place.refuse(`patternProperties that match "${matching}", a property`);
    const value = writer.value(inner, place.at('patternProperties', pattern));
    if (value !== undefined) options.push(member(key, value, writer));
  }
  const { additionalProperties = true, propertyNames } = schema;
  if (patterns.length > 0 && additionalProperties !== false)
    place.refuse('patternProperties without additionalProperties: false');
  const value =
    additionalProperties === false
      ? undefined
      : writer.value(additionalProperties, place.at('additionalProperties'));
  if (value !== undefined) {
    const key =
      propertyNames === undefined
        ? otherKey(names)
        : keyExpression(propertyNames, names, place.at('propertyNames'));
    if (key !== undefined) options.push(member(key, value, writer));
  }
  return options.length === 0 ? undefined : writer.named(choice(...options));
}

/** A pattern of a schema that one should not trust may take for ever. */
function findMatch(pattern: string, names: readonly string[], place: Place): string | undefined {
  try {
    return runWithin(PATTERN_LIMIT_MS, () => {
      const regex = new RegExp(pattern, 'u');
      return names.find((name) => regex.test(name));
    });
  } catch (error) {
    if (error instanceof TimeLimitExceeded)
      place.refuse('patternProperties that take long to compare with properties');
    return place.fail(`patternProperties: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Keys beside `names`; undefined when all that there may be are among these. */
function keyExpression(schema: unknown, names: readonly string[], place: Place): Expression | undefined {
  const keys = place.schema(schema);
  if (typeof keys === 'boolean') return place.refuse('propertyNames that is true or false');
  const unknown = Object.keys(keys).find((keyword) => !KEY_KEYWORDS.includes(keyword));
  if (unknown !== undefined) return place.refuse(`${unknown} in propertyNames`);
  const isListed = keys.enum !== undefined || keys.const !== undefined;
  const listed = keys.enum === undefined ? [keys.const] : place.strings(keys, 'enum');
  // Zod's records of an enum require each of its names.
  if (names.length > 0 && !(isListed && names.every((name) => listed.includes(name))))
    return place.refuse('propertyNames beside properties that it does not list');
  if (!isListed) return stringExpression(keys, place);
  const others = listed.filter((name) => !names.some((known) => known === name));
  return others.length === 0 ? undefined : choice(...others.map((name) => text(JSON.stringify(name))));
}

/** How many further members there are, from minProperties and maxProperties. */
function counts(
  schema: SchemaObject,
  members: readonly Member[],
  hasFurther: boolean,
  place: Place,
): [min: number, max: number | undefined] {
  const min = place.count(schema, 'minProperties') ?? 0;
  const max = place.count(schema, 'maxProperties');
  const sure = members.filter(({ isRequired }) => isRequired).length;
  const isAllSure = sure === members.length;
  if (max !== undefined && max < members.length && !isAllSure)
    place.refuse('maxProperties below the number of properties');
  if (max !== undefined && max < sure) place.fail('more properties are required than maxProperties');
  if (min > sure && !(isAllSure && hasFurther)) place.refuse('minProperties beyond the required properties');
  if (!isAllSure && max !== undefined && hasFurther) place.refuse('maxProperties beside optional properties');
  return [Math.max(0, min - sure), max === undefined ? undefined : max - sure];
}

/**
 * The members with commas between them. `rest(i)` writes those from i on, when some were written before them, and
 * `first(i)` when none was; both are rules, so that leaving one out does not double what follows.
 */
function membersExpression(
  members: readonly Member[],
  further: Expression | undefined,
  min: number,
  max: number | undefined,
  writer: SchemaWriter,
): Expression {
  const { space, named } = writer;
  const comma = sequence(text(','), space);
  const more = further === undefined ? NOTHING : repeat(sequence(comma, further, space), min, max);
  let rest = more;
  let first: Expression =
    further === undefined || max === 0
      ? NOTHING
      : min === 0
        ? optional(sequence(further, space, repeat(sequence(comma, further, space), 0, max && max - 1)))
        : sequence(further, space, repeat(sequence(comma, further, space), min - 1, max && max - 1));
  for (const { text: content, isRequired } of members.toReversed()) {
    const here = sequence(content, space, rest);
    const later = sequence(comma, content, space, rest);
    first = named(isRequired ? here : choice(here, first));
    rest = named(isRequired ? later : choice(later, rest));
  }
  return first;
}

/** Lists: those of prefixItems, then any number of items. Undefined: there is no such list. */
export function arrayExpression(
  schema: SchemaObject,
  place: Place,
  writer: SchemaWriter,
): Expression | undefined {
  const { space } = writer;
  const min = place.count(schema, 'minItems') ?? 0;
  const max = place.count(schema, 'maxItems');
  if (max !== undefined && max < min) return undefined;
  if (schema.uniqueItems === true && (max === undefined || max > 1)) place.refuse('uniqueItems');
  // Up to draft 2019-09, a list of schemas stood in `items`.
  const isTuple = Array.isArray(schema.items);
  const prefix =
    isTuple || schema.prefixItems !== undefined ? place.list(schema, isTuple ? 'items' : 'prefixItems') : [];
  const keyword = isTuple ? 'additionalItems' : 'items';
  const item = writer.value(schema[keyword] ?? true, place.at(keyword));
  const comma = sequence(text(','), space);
  const listed: Expression[] = [];
  for (const [i, inner] of prefix.entries()) {
    const value = writer.value(inner, place.at(isTuple ? 'items' : 'prefixItems', i));
    if (value === undefined) break;
    listed.push(sequence(i === 0 ? NOTHING : comma, value, space));
  }
  const known = listed.slice(0, max);
  const canGoOn = item !== undefined && known.length === prefix.length;
  if (!canGoOn && min > known.length) return undefined;
  let body = further(known.length, min, max, canGoOn ? sequence(item, space) : undefined, comma);
  for (const [i, value] of [...known.entries()].toReversed())
    body = i < min ? sequence(value, body) : optional(sequence(value, body));
  return sequence(text('['), space, body, text(']'));
}

/** Items after the first `before`, which have no schema of their own. */
function further(
  before: number,
  min: number,
  max: number | undefined,
  item: Expression | undefined,
  comma: Expression,
): Expression {
  const [least, most] = [Math.max(0, min - before), max === undefined ? undefined : max - before];
  if (item === undefined || most === 0) return NOTHING;
  const next = sequence(comma, item);
  if (before > 0) return repeat(next, least, most);
  const all = sequence(item, repeat(next, Math.max(0, least - 1), most && most - 1));
  return least === 0 ? optional(all) : all;
}
