import { integer } from './checks.js';
import type { Field } from './fields.js';

/**
 * How many layers attend to keys and values of earlier ones: the last. Before them there must be a layer of each kind
 * that they are of.
 */
export const borrowingLayers = (
  fallback: number,
): Field<number, { readonly slidingWindows: readonly (number | undefined)[] }> => ({
  read(json, { slidingWindows: windows }) {
    const name = 'num_kv_shared_layers';
    const found = json.value(name, integer(0, 1000)) ?? fallback;
    const own = windows.slice(0, Math.max(windows.length - found, 0));
    if (windows.every((window) => own.includes(window))) return found;
    return json.fail(
      `${name} must leave a layer of each kind before the last that have none of their own, found ${found} of ` +
        `${windows.length} layers`,
    );
  },
});
