import type { Check, Names } from './checks.js';
import type { ConfigReader } from './config-reader.js';

/**
 * One property of a configuration: how config.json says it. `config` gives the other properties, each read when it is
 * first asked for; where one cannot be read, its problem is reported once and the fields that need it are passed over.
 */
export interface Field<T, Needs = unknown> {
  readonly read: (json: ConfigReader, config: Needs) => T;
}

/** Instead of a default: config.json must say it. */
export const required: unique symbol = Symbol('required');

/** What holds when config.json says nothing. */
export type Default<T> = T | typeof required;

/**
 * The property that config.json calls `names`. Null counts as absent. `fallback` is the family's own default, a function
 * of other properties, or `required`.
 */
export function field<T>(names: Names, check: Check<T>, fallback: typeof required): Field<T>;
export function field<T, D, N>(names: Names, check: Check<T>, fallback: (config: N) => D): Field<T | D, N>;
export function field<T, D = T>(names: Names, check: Check<T>, fallback: Default<D>): Field<T | D>;
export function field<T, D, N>(
  names: Names,
  check: Check<T>,
  fallback: Default<D> | ((config: N) => D),
): Field<T | D, N> {
  return {
    read(json, config) {
      const found = json.value(names, check);
      if (found !== undefined) return found;
      if (fallback === required) return json.missing(names);
      return typeof fallback === 'function' ? (fallback as (config: N) => D)(config) : fallback;
    },
  };
}

/** A property that is the same in every model of the family, whatever config.json says. */
export const constant = <T>(value: T): Field<T> => ({ read: () => value });
