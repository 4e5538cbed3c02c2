import type { Budget } from './budget.js';
import { toText } from './text.js';
import { type CallArguments, TemplateRuntimeError, typeName, Undefined, type Value } from './values.js';

/**
 * The arguments of a call by the names of its parameters; "?" marks those that may be left out.
 * @throws TemplateRuntimeError for missing and for further ones
 */
export function bind<Name extends string>(
  callee: string,
  { positional, keyword }: CallArguments,
  ...parameters: readonly (Name | `${Name}?`)[]
): Partial<Record<Name, Value>> {
  const bound: Partial<Record<string, Value>> = {};
  const names = parameters.map((parameter) => parameter.replace('?', ''));
  if (positional.length > names.length)
    throw new TemplateRuntimeError(
      `${callee}() takes at most ${names.length} arguments (${positional.length} given)`,
    );
  for (const [index, value] of positional.entries()) bound[names[index] as string] = value;
  for (const [name, value] of keyword) {
    if (!names.includes(name))
      throw new TemplateRuntimeError(`${callee}() got an unexpected keyword argument '${name}'`);
    if (bound[name] !== undefined)
      throw new TemplateRuntimeError(`${callee}() got multiple values for argument '${name}'`);
    bound[name] = value;
  }
  for (const [index, name] of names.entries()) {
    if (bound[name] === undefined && !parameters[index]?.endsWith('?'))
      throw new TemplateRuntimeError(`${callee}() missing 1 required argument: '${name}'`);
  }
  return bound as Partial<Record<Name, Value>>;
}

/** A whole number that was asked for; `fallback` where none was given. */
export function wholeOf(value: Value | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value === 'bigint' && BigInt.asIntN(64, value) !== value)
    throw new TemplateRuntimeError('Python int too large to convert to C ssize_t');
  if (typeof value === 'bigint' || typeof value === 'boolean') return Number(value);
  if (value instanceof Undefined) return value.fail();
  throw new TemplateRuntimeError(`'${typeName(value)}' object cannot be interpreted as an integer`);
}

/** A text that was asked for; undefined where none, or None, was given. */
export function textArgument(value: Value | undefined, budget: Budget): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string' || typeName(value) === 'Markup') return toText(value, budget);
  if (value instanceof Undefined) return value.fail();
  throw new TemplateRuntimeError(`expected str instance, ${typeName(value)} found`);
}

export function requiredText(value: Value | undefined, budget: Budget): string {
  const text = textArgument(value, budget);
  if (text === undefined) throw new TemplateRuntimeError('expected str instance, NoneType found');
  return text;
}
