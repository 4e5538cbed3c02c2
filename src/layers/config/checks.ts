import { z } from 'zod';

/** A parsed JSON object: config.json, or a part of it. */
export type ConfigDict = Readonly<Record<string, unknown>>;

/**
 * What a value of config.json must be. A schema of zod is one; its own type stays out of this package's, because it asks
 * of whoever uses them for a newer TypeScript.
 */
export interface Check<T> {
  safeParse(value: unknown):
    | { readonly success: true; readonly data: T }
    | {
        readonly success: false;
        readonly error: { readonly issues: readonly { readonly message: string }[] };
      };
}

/** An integer within bounds; JSON's 3.0 is one, 2^53 + 1 is not. */
export const integer = (min: number, max: number): Check<number> =>
  z.custom<number>((v) => Number.isSafeInteger(v) && (v as number) >= min && (v as number) <= max, {
    error: `must be an integer from ${min} to ${max}`,
  });

/** Between 0 and this f32 has no number, or none that 1 can be divided by. */
const LEAST_POSITIVE = 1e-37;

/** A finite number greater than `above` and at most `max`. */
export const positive = (max: number, above = 0): Check<number> =>
  z.custom<number>((v) => typeof v === 'number' && v > (above || LEAST_POSITIVE) && v <= max, {
    error: `must be a number greater than ${above} and at most ${max}`,
  });

/** A number from 0 to `max`. */
export const notNegative = (max: number): Check<number> =>
  z.custom<number>((v) => typeof v === 'number' && v >= 0 && v <= max, {
    error: `must be a number from 0 to ${max}`,
  });

export const flag: Check<boolean> = z.boolean({ error: 'must be true or false' });

export const text: Check<string> = z.string({ error: 'must be a string' });

export const oneOf = <T extends string>(...choices: readonly T[]): Check<T> =>
  z.custom<T>((v) => choices.some((choice) => choice === v), {
    error: `must be one of ${choices.join(', ')}`,
  });

/** The one value that is built: any other is refused by name. */
export const only = <T extends string | number | boolean>(value: T): Check<T> =>
  z.custom<T>((v) => v === value, { error: `must be ${value}: nothing else is supported by this family` });

export const listOf = <T>(item: Check<T>, what: string): Check<readonly T[]> =>
  z.custom<readonly T[]>((v) => Array.isArray(v) && v.every((entry) => item.safeParse(entry).success), {
    error: `must be a list of ${what}`,
  });

/** Sizes and counts, with bounds that no model reaches: a number beyond them is a mistake or an attack. */
export const MAX_POSITIONS = 2 ** 31 - 1;
export const SIZE = integer(1, 2 ** 20);
export const WIDTH = integer(1, 2 ** 24);
export const LAYERS = integer(1, 1000);
export const HEADS = integer(1, 10_000);
export const HEAD_SIZE = integer(1, 1000);
export const LENGTH = integer(1, MAX_POSITIONS);
export const EPSILON = positive(1);

/** Names in config.json; several are other names of one thing, and must not contradict each other. */
export type Names = string | readonly string[];
