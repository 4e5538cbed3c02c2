import { type Check, type Field, listOf, positive } from './fields.js';

/** The bound of a layer; null and 0 stand for none. */
const LIMIT: Check<number | null> = {
  safeParse: (value) => {
    const found = positive(1e6, -1e-9).safeParse(value ?? 0);
    return found.success ? { success: true, data: found.data || null } : found;
  },
};

/** For each layer, how far gates of an MLP and what they gate may go; undefined where a file says null, 0 or nothing. */
export const gateLimits = (
  name: string,
): Field<readonly (number | undefined)[], { readonly numHiddenLayers: number }> => ({
  read(json, { numHiddenLayers: layers }) {
    const found =
      json.value(name, listOf(LIMIT, 'numbers of at least 0, or null')) ?? Array<null>(layers).fill(null);
    if (found.length !== layers)
      json.problem(`${name} must have one entry for each of the ${layers} layers, found ${found.length}`);
    return found.map((limit) => limit || undefined);
  },
});
