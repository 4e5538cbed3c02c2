import { flag, integer, LENGTH, listOf, oneOf } from './checks.js';
import type { ConfigReader } from './config-reader.js';
import { type Default, type Field, field, required } from './fields.js';

type Windows = readonly (number | undefined)[];
type Layers = { readonly numHiddenLayers: number };

const everyLayer = (layers: number, window: number | undefined): Windows =>
  Array.from({ length: layers }, () => window);

/** Every query sees all keys before it. */
export const fullAttention: Field<Windows, Layers> = {
  read: (_, { numHiddenLayers }) => everyLayer(numHiddenLayers, undefined),
};

/** One window for all layers, `sliding_window`; null stands for none. */
export const slidingEverywhere = (defaults: {
  readonly window: Default<number | undefined>;
}): Field<Windows, Layers> => ({
  read(json, config) {
    const window = windowSize(json, defaults.window);
    return everyLayer(config.numHiddenLayers, window);
  },
});

/** Which layers slide where `layer_types` does not say. */
type Pattern<N> =
  /** From the one that `max_window_layers` counts to. */
  | { readonly maxWindowLayers: number }
  /** All but every n-th, as `sliding_window_pattern` has it. */
  | { readonly slidingWindowPattern: number }
  /** As other properties of the configuration have it. */
  | { readonly slides: (layer: number, config: N) => boolean };

/** Windows in some layers, which `layer_types` names, or a pattern where it is absent. */
export const slidingByLayer = <N extends Layers = Layers>(
  defaults: {
    readonly window: Default<number | undefined>;
    /** What `use_sliding_window` is when absent, in families that have it; without it windows are always used. */
    readonly useSlidingWindow?: boolean;
  } & Pattern<N>,
): Field<Windows, N> => ({
  read(json, config) {
    const types = json.optional('layer_types', LAYER_TYPES);
    const slides = pattern(json, config, defaults);
    const { useSlidingWindow } = defaults;
    const used =
      useSlidingWindow === undefined || (json.optional('use_sliding_window', flag) ?? useSlidingWindow);
    // Where windows are not used, their size is checked all the same; transformers 5 writes 0 there.
    const isNone = !used && json.raw('sliding_window') === 0;
    const window = isNone ? undefined : windowSize(json, used ? defaults.window : undefined);
    const { numHiddenLayers: layers } = config;
    if (types !== undefined && types.length !== layers) {
      json.problem(`layer_types must have one entry for each of the ${layers} layers, found ${types.length}`);
    }
    return everyLayer(layers, used ? window : undefined).map((size, layer) =>
      (types ? types[layer] === 'sliding_attention' : slides(layer)) ? size : undefined,
    );
  },
});

function pattern<N>(json: ConfigReader, config: N, defaults: Pattern<N>): (layer: number) => boolean {
  if ('slides' in defaults) return (layer) => defaults.slides(layer, config);
  if ('maxWindowLayers' in defaults) {
    const first = json.optional('max_window_layers', integer(0, 1000)) ?? defaults.maxWindowLayers;
    return (layer) => layer >= first;
  }
  const n = json.optional('sliding_window_pattern', integer(1, 1000)) ?? defaults.slidingWindowPattern;
  return (layer) => (layer + 1) % n !== 0;
}

const LAYER_TYPES = listOf(
  oneOf('full_attention', 'sliding_attention'),
  '"full_attention" and "sliding_attention"',
);

function windowSize(json: ConfigReader, fallback: Default<number | undefined>): number | undefined {
  if (json.isNull('sliding_window') && fallback !== required) return undefined;
  return field('sliding_window', LENGTH, fallback).read(json, {});
}
