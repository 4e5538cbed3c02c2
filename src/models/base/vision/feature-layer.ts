import { type Field, integer } from '../../../layers/config/index.js';

/** How many layers of an encoder are computed where the result of one is taken: 0 is what goes into the first, -1 the last. */
export const layersUpTo = (
  name: string,
  fallback: number,
): Field<number, { readonly vision: { readonly numLayers: number } }> => ({
  read(json, { vision: { numLayers } }) {
    const given = json.raw(name);
    // A list of several would put their results side by side.
    const one = Array.isArray(given) && given.length === 1 ? given[0] : given;
    const taken = json.check(name, one, integer(-1000, 1000)) ?? fallback;
    const computed = taken < 0 ? numLayers + 1 + taken : taken;
    if (computed >= 0 && computed <= numLayers) return computed;
    return json.fail(`${name} must be that of one of ${numLayers} layers, found ${taken}`);
  },
});

/** Names of tensors of the layers behind those: `root` is what the checkpoint's names of all begin with. */
export const layersBehind = (root: string, computed: number, layers: number): RegExp[] =>
  Array.from({ length: layers - computed }, (_, i) => new RegExp(`^${root}\\.${computed + i}\\.`));
