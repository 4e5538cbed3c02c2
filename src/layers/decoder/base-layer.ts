import { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { requireArgument, whole } from '../../require-argument.js';
import { requireWeights } from '../../weights/require-weights.js';
import type { Weights } from '../../weights/weights.js';
import { requireMember } from '../complete.js';
import { Module } from '../module.js';

/** What a layer's graph calls its input. */
const HIDDEN = 'hidden_states';

/** Tells layers with a window apart from those without. */
export const slidingVariant = (
  config: { readonly slidingWindows: readonly (number | undefined)[] },
  layerId: number,
): string => (config.slidingWindows[layerId] === undefined ? '' : 'sliding');

/**
 * One layer as a graph of its own, placed in the model's graph by position, so that equal layers share it. Its inputs
 * are what its steps read: its weights and caches, and whatever the model's graph has by then.
 */
export abstract class BaseLayer extends Module {
  /** The layer's name in the checkpoint; inside the layer's graph its weights lose it. */
  private readonly scope: string;

  /** `variant` tells layers of different structure apart in the names of their graphs: `sliding`. */
  constructor(
    readonly layerId: number,
    weights: Weights,
    private readonly variant = '',
  ) {
    super();
    const call = `new ${new.target.name}`;
    // What is before the first layer may be one, too: its result is hidden_states_0.
    requireArgument(call, 'layerId', whole(-1), layerId);
    requireWeights(call, weights);
    requireMember(this, 'buildLayerGraph', 'function');
    this.scope = weights.path();
  }

  /** Adds the layer's operations: `hidden` [tokens, hidden] -> the tensor whose name it returns, of the same shape. */
  protected abstract buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string;

  /** Adds the layer to a model's graph: `hidden` [tokens, hidden] -> `hidden_states_<n>`, n counting from 1. */
  buildGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const name = [kind.name, this.variant, 'layer_graph'].filter((part) => part !== '').join('_');
    const layer = new AtbGraph(name, `${this.scope}.`);
    const weights = [...new Set(this.getWeights().map((weight) => weight.name))];
    const outer = new Map([
      ...(kind.fillsCache ? this.cacheTensors() : []),
      ...this.borrowed(),
      [HIDDEN, hidden],
    ]);
    const lent = this.lent();
    const own = [...weights, ...outer.keys()];
    layer.addOptionalInputs(graph.names().filter((tensor) => !own.includes(tensor)));
    const out = this.buildLayerGraph(layer, kind, HIDDEN);
    layer.addInputOutput({ input: own, output: [out, ...lent] });
    const spec = layer.build();
    const result = `${HIDDEN}_${this.layerId + 1}`;
    const given = spec.inputs.map((tensor, index) => weights[index] ?? outer.get(tensor) ?? tensor);
    const results = [result, ...lent.map((tensor) => `${tensor}_${this.layerId}`)];
    graph.addOperation(spec, given, results, { name: `layer_${this.layerId}` });
    return result;
  }

  /** The tensors of caches and states: by their names in the layer's graph, those in the model's. */
  private cacheTensors(): [inner: string, outer: string][] {
    const caches = this.caches().flatMap(({ cache, key, value }): [string, string][] => [
      [key, cache.key],
      ...(value !== undefined && cache.value !== undefined
        ? [[value, cache.value] satisfies [string, string]]
        : []),
    ]);
    return [...caches, ...this.states().map(({ state, name }): [string, string] => [name, state.name])];
  }
}
