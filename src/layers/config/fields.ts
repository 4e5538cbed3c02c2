import { z } from 'zod';
import { describeValue } from '../../errors.js';

/** A parsed JSON object: config.json, or a part of it. */
export type ConfigDict = Readonly<Record<string, unknown>>;

export const isDict = (value: unknown): value is ConfigDict =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** An integer within bounds; JSON's 3.0 is one, 2^53 + 1 is not. */
export const integer = (min: number, max: number) =>
  z.custom<number>((v) => Number.isSafeInteger(v) && (v as number) >= min && (v as number) <= max, {
    error: `must be an integer from ${min} to ${max}`,
  });

/** A finite number greater than `above` and at most `max`. */
export const positive = (max: number, above = 0) =>
  z.custom<number>((v) => typeof v === 'number' && Number.isFinite(v) && v > above && v <= max, {
    error: `must be a number greater than ${above} and at most ${max}`,
  });

export const flag = z.boolean({ error: 'must be true or false' });

export const oneOf = <T extends string>(...choices: readonly T[]) =>
  z.custom<T>((v) => choices.some((choice) => choice === v), {
    error: `must be one of ${choices.join(', ')}`,
  });

export const listOf = <T>(item: z.ZodType<T>, what: string) =>
  z.custom<readonly T[]>((v) => Array.isArray(v) && v.every((entry) => item.safeParse(entry).success), {
    error: `must be a list of ${what}`,
  });

type Fields = Readonly<Record<string, z.ZodType>>;
export type FieldValues<F extends Fields> = { readonly [K in keyof F]?: z.infer<F[K]> };

/**
 * The fields of `dict` that are well-formed; null counts as absent, fields not asked for are ignored as transformers
 * ignores them. Everything wrong goes to `problems`, so that a user sees it all at once.
 */
export function readFields<F extends Fields>(
  dict: ConfigDict,
  fields: F,
  problems: string[],
  prefix = '',
): FieldValues<F> {
  const values: Record<string, unknown> = {};
  for (const [name, type] of Object.entries(fields)) {
    const found = Object.hasOwn(dict, name) ? dict[name] : undefined;
    if (found === undefined || found === null) continue;
    const result = type.safeParse(found);
    if (result.success) values[name] = result.data;
    else problems.push(`${prefix}${name} ${result.error.issues[0]?.message}, found ${describeValue(found)}`);
  }
  return values as FieldValues<F>;
}
