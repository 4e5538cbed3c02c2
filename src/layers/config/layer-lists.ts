import { type Check, type ConfigDict, listOf, positive } from './checks.js';
import type { ConfigReader } from './config-reader.js';
import type { Field } from './fields.js';
import { type RopesByWindow, type RotarySizes, ropesOf, rotaryConfigByLayerType } from './rotary-config.js';

/**
 * A config.json whose lists of these names have an entry for each layer: those of layers that guess further tokens,
 * with which published lists may go on, are cut off.
 */
export function withoutPredictions(dict: ConfigDict, names: readonly string[]): ConfigDict {
  const [layers, behind] = [Number(dict.num_hidden_layers), Number(dict.num_nextn_predict_layers ?? 0)];
  const cut = names.flatMap((name) => {
    const list = dict[name];
    const goesOn = Array.isArray(list) && list.length === layers + behind;
    return goesOn ? [[name, list.slice(0, layers)] as const] : [];
  });
  return { ...dict, ...Object.fromEntries(cut) };
}

/** What layers of a type have of a list with an entry for each layer, or of one value for all. */
function ofType(
  json: ConfigReader,
  name: string,
  check: Check<number>,
  isOfType: readonly boolean[],
): number | undefined {
  if (!Array.isArray(json.raw(name))) return json.value(name, check);
  const found = json.value(name, listOf(check, 'numbers in their bounds')) ?? [];
  if (found.length !== isOfType.length)
    json.fail(`${name} must have one entry for each of the ${isOfType.length} layers, found ${found.length}`);
  const [first, ...others] = new Set(found.filter((_, layer) => isOfType[layer]));
  if (others.length > 0)
    json.fail(
      `${name} must be the same in all layers with a window and in all others, found ${[first, ...others].join(', ')}`,
    );
  return first;
}

type Windows = { readonly slidingWindows: readonly (number | undefined)[] };

/**
 * One RoPE for layers that see all keys, and one for those with a window: as transformers 5 writes them, or with lists
 * of bases and of shares of heads that turn, and `rope_scaling` for layers that see all keys. `theta`: without such a
 * list.
 */
export function rotaryListsByWindow(names: {
  readonly theta: number;
  readonly thetas: string;
  readonly factors: string;
}) {
  const ropes: Field<RopesByWindow, RotarySizes & Windows> = {
    read(json, config) {
      const typeOf = (slides: boolean) => {
        const isOfType = config.slidingWindows.map((window) => (window !== undefined) === slides);
        return {
          theta: ofType(json, names.thetas, positive(1e15), isOfType) ?? names.theta,
          factor: ofType(json, names.factors, positive(1), isOfType) ?? 1,
          ...{ thetaNames: [], factorNames: [], isScaled: !slides },
        };
      };
      const types = { full_attention: typeOf(false), sliding_attention: typeOf(true) };
      return rotaryConfigByLayerType(types).read(json, config);
    },
  };
  return ropesOf(ropes);
}
