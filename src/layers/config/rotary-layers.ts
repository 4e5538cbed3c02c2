import { type Field, integer, listOf } from './fields.js';

/**
 * Which layers rotate: those with a 1 in `no_rope_layers`, or without that list all but every n-th, as
 * `no_rope_layer_interval` has it. `isNone`: what of the list counts as none.
 */
export const rotaryLayers = (
  isNone: (given: readonly number[]) => boolean = () => false,
): Field<readonly boolean[], { readonly numHiddenLayers: number }> => ({
  read(json, { numHiddenLayers: layers }) {
    const found = json.optional('no_rope_layers', listOf(integer(0, 1), '0 and 1'));
    const interval = json.optional('no_rope_layer_interval', integer(1, 1000)) ?? 4;
    const given = found && !isNone(found) ? found : undefined;
    if (given !== undefined && given.length !== layers) {
      json.problem(
        `no_rope_layers must have one entry for each of the ${layers} layers, found ${given.length}`,
      );
    }
    return Array.from({ length: layers }, (_, layer) =>
      given === undefined ? (layer + 1) % interval !== 0 : given[layer] === 1,
    );
  },
});
