import type { RopeConfig } from '../../step-inputs/index.js';
import { listOf, positive } from './checks.js';
import type { Field } from './fields.js';
import { type RotarySizes, rotaryConfig } from './rotary-config.js';

/** Rotary embeddings that differ by their bases alone, and for each layer which of them is its; undefined: none. */
export interface LayerRopes {
  readonly ropes: readonly RopeConfig[];
  readonly ofLayers: readonly (number | undefined)[];
}

const THETAS = listOf(positive(1e15, -1e-9), 'numbers of at least 0');

/** `layer_rope_theta` has a base for each layer, 0 where nothing turns; without it all have that of the file. */
export const layerRopes = (
  theta: number,
): Field<LayerRopes, RotarySizes & { readonly numHiddenLayers: number }> => ({
  read(json, config) {
    const { numHiddenLayers: layers } = config;
    const rope = rotaryConfig({ theta }).read(json, config);
    const thetas = json.optional('layer_rope_theta', THETAS) ?? Array<number>(layers).fill(rope.theta);
    if (thetas.length !== layers)
      json.problem(
        `layer_rope_theta must have one entry for each of the ${layers} layers, found ${thetas.length}`,
      );
    const bases = [...new Set(thetas.filter((base) => base !== 0))].sort((a, b) => a - b);
    return {
      ropes: bases.map((base) => ({ ...rope, theta: base })),
      ofLayers: thetas.map((base) => (base === 0 ? undefined : bases.indexOf(base))),
    };
  },
});

/** The first of them, which stands for all where a model is asked how it turns. */
export const firstRope: Field<RopeConfig | undefined, { readonly layerRopes: LayerRopes }> = {
  read: (_, { layerRopes: { ropes } }) => ropes[0],
};
