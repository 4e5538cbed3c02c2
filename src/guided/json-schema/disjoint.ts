import { isDeepStrictEqual } from 'node:util';
import { isObject } from '../../is-object.js';
import type { Place, Schema, SchemaObject } from './schema.js';

export const areAllDisjoint = (schemas: readonly Schema[], place: Place): boolean =>
  areAllOtherTexts(schemas) ||
  schemas.every((one, i) => schemas.slice(i + 1).every((other) => areDisjoint(one, other, place)));

/** Whether each is one text, and all differ, as lists of choices with their descriptions are. */
function areAllOtherTexts(schemas: readonly Schema[]): boolean {
  const texts = schemas.map((schema) => (typeof schema === 'object' ? schema.const : undefined));
  return texts.every((one) => typeof one === 'string') && new Set(texts).size === texts.length;
}

/** Whether it is plain that no value fits both schemas: by their types, their values, or a property that both require. */
function areDisjoint(a: Schema, b: Schema, place: Place): boolean {
  if (a === false || b === false) return true;
  if (a === true || b === true) return false;
  const [left, right] = [place.types(a), place.types(b)];
  const isNumber = (type: string): boolean => type === 'integer' || type === 'number';
  const common = left.filter((type) =>
    right.some((other) => other === type || (isNumber(other) && isNumber(type))),
  );
  if (common.length === 0) return true;
  const [values, others] = [literals(a), literals(b)];
  if (values !== undefined && others !== undefined)
    return !values.some((value) => others.some((other) => isDeepStrictEqual(value, other)));
  if (!common.every((type) => type === 'object')) return false;
  const required = place.strings(a, 'required').filter((name) => place.strings(b, 'required').includes(name));
  return required.some((name) => {
    const [one, other] = [a, b].map((schema) => place.record(schema, 'properties')[name]);
    return isObject(one) && isObject(other) && areDisjoint(one, other, place);
  });
}

function literals(schema: SchemaObject): readonly unknown[] | undefined {
  if ('const' in schema) return [schema.const];
  return Array.isArray(schema.enum) ? schema.enum : undefined;
}
