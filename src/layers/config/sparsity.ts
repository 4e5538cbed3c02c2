import { listOf, positive, WIDTH } from './checks.js';
import type { Field } from './fields.js';

type Layers = { readonly numHiddenLayers: number };

/** For each layer, the width of its MLP: `intermediate_size` is one number, or a list of them. */
export const widthsByLayer: Field<readonly number[], Layers> = {
  read(json, { numHiddenLayers: layers }) {
    const name = 'intermediate_size';
    const found = json.raw(name) ?? json.missing(name);
    if (!Array.isArray(found)) {
      const width = json.check(name, found, WIDTH) ?? json.missing(name);
      return Array.from({ length: layers }, () => width);
    }
    const widths = json.check(name, found, listOf(WIDTH, 'positive integers')) ?? json.missing(name);
    if (widths.length === layers) return widths;
    return json.fail(`${name} must have one entry for each of the ${layers} layers, found ${widths.length}`);
  },
};

/**
 * For each layer, which share of an MLP's gates is closed for a token, as if they were normally distributed; 0: none.
 */
export const closedGates = (
  otherwise: (layer: number, config: Layers) => number,
): Field<readonly number[], Layers> => ({
  read(json, config) {
    const name = 'activation_sparsity_pattern';
    const { numHiddenLayers: length } = config;
    const shares = json.value(name, listOf(positive(1 - 2 ** -20, -1), 'numbers below 1'));
    if (shares === undefined) return Array.from({ length }, (_, layer) => otherwise(layer, config));
    if (shares.length !== length)
      json.problem(`${name} must have one entry for each of the ${length} layers, found ${shares.length}`);
    return shares.map((share) => Math.max(share, 0));
  },
});
