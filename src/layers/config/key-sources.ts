import { integer, listOf } from './checks.js';
import type { Field } from './fields.js';

type Layers = { readonly numHiddenLayers: number; readonly rotaryLayers: readonly boolean[] };

/**
 * For each layer, whose keys it attends to: its own, or an earlier one's. The published code hands on those of the last
 * layer of the same kind that has any to lend, whatever the list says: both must mean the same.
 */
export const keySources: Field<readonly number[], Layers> = {
  read(json, { numHiddenLayers: layers, rotaryLayers: turns }) {
    const listed = json.value('kv_source_layers', listOf(integer(0, 1000), 'numbers of layers'));
    const sources = listed ?? Array.from({ length: layers }, (_, layer) => layer);
    if (sources.length !== layers)
      json.fail(
        `kv_source_layers must have one entry for each of the ${layers} layers, found ${sources.length}`,
      );
    for (const [layer, source] of sources.entries()) {
      if (source === layer) continue;
      const lenders = sources.flatMap((own, at) =>
        own === at && at < layer && turns[at] === turns[layer] && sources.includes(at, at + 1) ? [at] : [],
      );
      if (source !== lenders.at(-1))
        json.problem(
          `kv_source_layers: layer ${layer} must name the last lender before it that turns as it does ` +
            `(${lenders.at(-1) ?? 'none'}), found ${source}`,
        );
    }
    return sources;
  },
};
