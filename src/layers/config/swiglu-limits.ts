import { type Check, type Field, listOf, positive } from './fields.js';

const NUMBER = positive(1e6, -1e-9);
const LIMIT: Check<number | null> = {
  safeParse: (value) => (value === null ? { success: true, data: null } : NUMBER.safeParse(value)),
};
const LIMITS = listOf(LIMIT, 'numbers of at least 0, or null');

/**
 * For each layer, how far the gates of an MLP and what they gate may go; undefined where a file says 0 or nothing. The list
 * may go on with entries of layers that guess further tokens.
 */
export const swigluLimits = (
  name: string,
): Field<readonly (number | undefined)[], { readonly numHiddenLayers: number }> => ({
  read(json, { numHiddenLayers: layers }) {
    const found = json.value(name, LIMITS) ?? Array<null>(layers).fill(null);
    if (found.length < layers)
      json.problem(`${name} must have an entry for each of the ${layers} layers, found ${found.length}`);
    return found.slice(0, layers).map((limit) => limit || undefined);
  },
});
