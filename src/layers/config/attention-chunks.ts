import { LENGTH } from './checks.js';
import type { Field } from './fields.js';
import { layersOfType } from './layer-types.js';

/**
 * Chunks of positions in some layers, which `layer_types` names, or `isChunked` where it is absent: for each layer the
 * size of its chunks. Null in config.json stands for none.
 */
export const chunkedByLayer = <N>(defaults: {
  readonly size: number;
  readonly isChunked: (layer: number, config: N) => boolean;
}): Field<readonly (number | undefined)[], N & { readonly numHiddenLayers: number }> => ({
  read(json, config) {
    const isNone = json.isNull('attention_chunk_size');
    const size = json.optional('attention_chunk_size', LENGTH) ?? defaults.size;
    const otherwise = (layer: number) => !isNone && defaults.isChunked(layer, config);
    const isChunked = layersOfType('chunked_attention', 'full_attention', () => otherwise).read(json, config);
    if (isNone && isChunked.includes(true))
      json.problem(
        'attention_chunk_size must be a number where layer_types has chunked_attention, found null',
      );
    return isChunked.map((chunked) => (chunked ? size : undefined));
  },
});
