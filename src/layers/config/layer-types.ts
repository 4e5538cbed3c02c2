import { LENGTH, listOf, oneOf } from './checks.js';
import type { ConfigReader } from './config-reader.js';
import { type Field, field } from './fields.js';

type Layers = { readonly numHiddenLayers: number };

/** A type of layers by its name, or by several: transformers 5 renamed some. */
type LayerType = string | readonly string[];

/**
 * For each layer, whether `layer_types`, or the key that is called `name`, calls it `type`, of two types that a family's
 * layers have. Without that key, `otherwise` says it of a layer.
 */
export const layersOfType = (
  type: LayerType,
  other: LayerType,
  otherwise: (json: ConfigReader) => (layer: number) => boolean,
  name = 'layer_types',
): Field<readonly boolean[], Layers> => ({
  read(json, { numHiddenLayers: layers }) {
    const [own, others] = [[type].flat(), [other].flat()];
    const known = [...own, ...others];
    const types = json.optional(name, listOf(oneOf(...known), `"${known.join('", "')}"`));
    const isOfType = otherwise(json);
    if (types !== undefined && types.length !== layers)
      json.problem(`${name} must have one entry for each of the ${layers} layers, found ${types.length}`);
    return Array.from({ length: layers }, (_, layer) =>
      types ? own.includes(types[layer] ?? '') : isOfType(layer),
    );
  },
});

/** For each layer, which of `kinds` `layer_types` calls it; without that key, `otherwise` says it of a layer. */
export const layerKinds = <K extends string>(
  kinds: readonly K[],
  otherwise: (layer: number) => K,
): Field<readonly K[], Layers> => ({
  read(json, { numHiddenLayers: layers }) {
    const named = json.optional('layer_types', listOf(oneOf(...kinds), kinds.join(', ')));
    if (named !== undefined && named.length !== layers)
      json.problem(`layer_types must have one entry for each of the ${layers} layers, found ${named.length}`);
    return Array.from({ length: layers }, (_, layer) => named?.[layer] ?? otherwise(layer));
  },
});

/** The window of each layer: that of `sliding_window` in those that `mixers` calls `sliding_attention`. */
export const slidingMixers = (
  window: number,
): Field<readonly (number | undefined)[], { readonly mixers: readonly string[] }> => ({
  read(json, { mixers }) {
    const size = field('sliding_window', LENGTH, window).read(json, {});
    return mixers.map((mixer) => (mixer === 'sliding_attention' ? size : undefined));
  },
});
