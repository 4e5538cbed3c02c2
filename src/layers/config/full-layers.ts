import { isObject } from '../../is-object.js';
import type { RopeConfig } from '../../step-inputs/index.js';
import { integer } from './checks.js';
import type { Field } from './fields.js';
import { rotaryConfigByLayerType } from './rotary-config.js';

/**
 * What layers without a window have of their own, by the name of transformers' `per_layer_config` or by one from before it;
 * `fallback` where neither says.
 */
export const ofFullLayers = <D>(name: string, older: string, fallback: D): Field<number | D> => ({
  read(json) {
    const count = integer(1, 10_000);
    const named = json.value(older, count);
    const layers = json.section('per_layer_config');
    const own = Object.keys(layers?.dict ?? {}).map((layer) => {
      const found = layers?.raw(layer);
      return isObject(found) ? found[name] : undefined;
    });
    if (new Set(own).size > 1) json.problem(`per_layer_config must have one ${name} for all layers`);
    return json.check('per_layer_config', own[0] ?? undefined, count) ?? named ?? fallback;
  },
});

type LayerType = 'full_attention' | 'sliding_attention';
type RotaryNeeds = {
  readonly headDim: number;
  readonly globalHeadDim: number;
  readonly maxPositionEmbeddings: number;
};

/** A RoPE for layers without a window, whose heads have a size of their own, and one for the others; bases by default. */
export function rotaryByHeadSize(thetas: Readonly<Record<LayerType, number>>) {
  const options = (type: LayerType) => ({ theta: thetas[type], isScaled: false });
  const types = {
    full_attention: options('full_attention'),
    sliding_attention: options('sliding_attention'),
  };
  const ropeOf = (type: LayerType, size: 'headDim' | 'globalHeadDim'): Field<RopeConfig, RotaryNeeds> => ({
    read(json, config) {
      if (json.section('rope_parameters') === undefined) return json.missing('rope_parameters');
      return rotaryConfigByLayerType(types).read(json, { ...config, headDim: config[size] })[type];
    },
  });
  return {
    rope: ropeOf('full_attention', 'globalHeadDim'),
    slidingRope: ropeOf('sliding_attention', 'headDim'),
  };
}
