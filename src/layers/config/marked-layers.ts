import { integer, listOf } from './checks.js';
import type { ConfigReader } from './config-reader.js';

/**
 * For each layer, whether the list `name` has 1 for it, of 0 and 1; undefined where there is no such list. `isNone`: what
 * of the list counts as none.
 */
export function markedLayers(
  json: ConfigReader,
  name: string,
  { numHiddenLayers: layers }: { readonly numHiddenLayers: number },
  isNone: (given: readonly number[]) => boolean = () => false,
): readonly boolean[] | undefined {
  const given = json.optional(name, listOf(integer(0, 1), '0 and 1'));
  if (given === undefined || isNone(given)) return undefined;
  if (given.length !== layers)
    json.problem(`${name} must have one entry for each of the ${layers} layers, found ${given.length}`);
  return given.map((mark) => mark === 1);
}
