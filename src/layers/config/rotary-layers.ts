import { integer } from './checks.js';
import type { Field } from './fields.js';
import { markedLayers } from './marked-layers.js';

/**
 * Which layers rotate: those with a 1 in `no_rope_layers`, or without that list all but every n-th, as
 * `no_rope_layer_interval` has it. `isNone`: what of the list counts as none.
 */
export const rotaryLayers = (
  isNone?: (given: readonly number[]) => boolean,
): Field<readonly boolean[], { readonly numHiddenLayers: number }> => ({
  read(json, config) {
    const given = markedLayers(json, 'no_rope_layers', config, isNone);
    const interval = json.optional('no_rope_layer_interval', integer(1, 1000)) ?? 4;
    return (
      given ?? Array.from({ length: config.numHiddenLayers }, (_, layer) => (layer + 1) % interval !== 0)
    );
  },
});
