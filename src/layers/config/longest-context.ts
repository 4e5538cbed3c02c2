import type { LongestContext } from './base-config.js';
import { LENGTH, type Names } from './checks.js';
import type { ConfigReader } from './config-reader.js';
import { type Field, field } from './fields.js';

/** How far what is built of a family goes: so many tokens, because of what `because` says. Undefined: without end. */
export const longestContext = <N>(
  because: string,
  tokens: (config: N, json: ConfigReader) => number | undefined,
): Field<LongestContext | undefined, N> => ({
  read(json, config) {
    const found = tokens(config, json);
    return found === undefined ? undefined : { tokens: found, because };
  },
});

/** The length that config.json gives the model under one of the names, as far as what is built goes. */
export const contextLength = (
  names: Names,
  fallback: number,
): Field<number, { readonly longestContext: LongestContext | undefined }> => ({
  read(json, config) {
    const length = field(names, LENGTH, fallback).read(json, {});
    return Math.min(length, config.longestContext?.tokens ?? length);
  },
});
