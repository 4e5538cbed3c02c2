import { isObject } from '../../is-object.js';
import type { ConfigDict } from '../../layers/config/index.js';

/** Where files keep what reads and writes text, beside what speaks. */
const SECTION = 'thinker_config';

/**
 * What a definition reads, also where it stands in an object of its own, as published files have it, whose tensors
 * then are all called `thinker.…`.
 */
export const withThinker = <C>(definition: { read(dict: ConfigDict): C }) => ({
  read(dict: ConfigDict): C & { readonly isThinker: boolean } {
    const { [SECTION]: thinker, ...rest } = dict;
    const own = isObject(thinker) ? { ...rest, ...thinker, model_type: rest.model_type } : rest;
    return { ...definition.read(own), isThinker: isObject(thinker) };
  },
});
