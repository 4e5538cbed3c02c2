import { type AtbGraph, BaseOperation } from '../../../graph/atb-graph.js';
import type { GraphKind } from '../../../graph/graph-kind.js';
import { type ConfigReader, type Field, integer } from '../../../layers/config/index.js';
import type { BaseLayer } from '../../../layers/decoder/base-layer.js';

export interface Layered {
  readonly vision: { readonly numLayers: number };
}

/** How many layers lie before what `given` names: 0 is what goes into the first, -1 the result of the last. */
export function layersBefore(
  json: ConfigReader,
  name: string,
  given: unknown,
  fallback: number,
  layers: number,
) {
  const taken = json.check(name, given, integer(-1000, 1000)) ?? fallback;
  const computed = taken < 0 ? layers + 1 + taken : taken;
  if (computed >= 0 && computed <= layers) return computed;
  return json.fail(`${name} must be that of one of ${layers} layers, found ${taken}`);
}

/** How many layers of an encoder are computed where the result of one is taken. */
export const layersUpTo = (name: string, fallback: number): Field<number, Layered> => ({
  read(json, { vision: { numLayers } }) {
    const given = json.raw(name);
    const one = Array.isArray(given) && given.length === 1 ? given[0] : given;
    return layersBefore(json, name, one, fallback, numLayers);
  },
});

/** The same of each of several layers, whose results stand side by side, in the order in which they are named. */
export const layersTaken = (
  [name, ...otherNames]: readonly [string, ...string[]],
  fallback: readonly number[],
): Field<readonly number[], Layered> => ({
  read(json, { vision: { numLayers } }) {
    const given = [name, ...otherNames].map((one) => json.raw(one)).find((one) => one != null) ?? fallback;
    const all: readonly unknown[] = Array.isArray(given) ? given : [given];
    if (all.length === 0) return json.fail(`${name} must name a layer, found an empty list`);
    if (all.includes(null)) return json.fail(`${name} must be numbers of layers, found null`);
    return all.map((one) => layersBefore(json, name, one, 0, numLayers));
  },
});

/** How many layers are computed where those are taken. */
export const deepestTaken: Field<number, { readonly takenLayers: readonly number[] }> = {
  read: (_json, { takenLayers }) => Math.max(...takenLayers),
};

/** Adds layers to `input` [rows, hidden]: the names of what goes into the first, and of what each gives. */
export function buildEachLayer(
  graph: AtbGraph,
  kind: GraphKind,
  layers: readonly BaseLayer[],
  input: string,
): [input: string, ...ofLayers: string[]] {
  const results: [string, ...string[]] = [input];
  for (const layer of layers) results.push(layer.buildGraph(graph, kind, results.at(-1) ?? input));
  return results;
}

/**
 * Of what layers give, that behind which `taken` layers lie, side by side: [rows, hidden times how many are taken]; of the
 * last one where `taken` is absent.
 */
export function takenOf(
  graph: AtbGraph,
  results: readonly string[],
  taken: readonly number[] = [results.length - 1],
): string {
  return taken
    .map((depth) => results[depth] ?? '')
    .reduce((left, right, place) => {
      const out = `features_to_${place}`;
      graph.addOperation(new BaseOperation('Concat', { concatDim: 1 }, out), [left, right], [out]);
      return out;
    });
}

/** Names of tensors of the layers behind those: `root` is what the checkpoint's names of all begin with. */
export const layersBehind = (root: string, computed: number, layers: number): RegExp[] =>
  Array.from({ length: layers - computed }, (_, i) => new RegExp(`^${root}\\.${computed + i}\\.`));
