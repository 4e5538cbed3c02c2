import { listOf, oneOf } from './checks.js';
import type { ConfigReader } from './config-reader.js';
import type { Field } from './fields.js';

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
