import type { Phase } from '../../common-op-builders/index.js';
import { AtbGraph, type GraphSpec } from '../../graph/atb-graph.js';
import type { BaseConfig } from '../../layers/config/index.js';
import type { Module } from '../../layers/module.js';
import type { TensorRef } from '../../weights/weights.js';
import { layerInputs, SLIDING_MASK } from './layer-inputs.js';

/** A decoder layer: a graph of its own, placed in the model's graph by position; equal layers share it. */
export abstract class BaseLayer implements Module {
  /** `scope` is the layer's name in the checkpoint; inside the layer's graph its weights lose it. */
  constructor(
    readonly layerId: number,
    protected readonly config: BaseConfig,
    private readonly scope: string,
  ) {}

  protected abstract modules(): Module[];
  /** Adds the layer's operations: reads `hidden_states`, writes `layer_out`; both [tokens, hidden]. */
  protected abstract buildLayerGraph(graph: AtbGraph, phase: Phase): void;

  getWeights(): TensorRef[] {
    return this.modules().flatMap((module) => module.getWeights());
  }

  buildGraph(graph: AtbGraph, phase: Phase): void {
    const weights = this.getWeights().map((weight) => weight.name);
    const slides = this.config.slidingWindows[this.layerId] !== undefined;
    const caches = [`layer_${this.layerId}_k_cache`, `layer_${this.layerId}_v_cache`];
    const hidden = (id: number): string => (id === 0 ? 'hidden_states' : `hidden_states_${id}`);
    const inputs = layerInputs(phase, slides);
    const shared = inputs.map((name) => (slides && name === 'attention_mask' ? SLIDING_MASK : name));
    graph.addOperation(
      this.#spec(phase, slides, [...weights, 'k_cache', 'v_cache', 'hidden_states', ...inputs]),
      [...weights, ...caches, hidden(this.layerId), ...shared],
      [hidden(this.layerId + 1)],
      { name: `layer_${this.layerId}` },
    );
  }

  #spec(phase: Phase, slides: boolean, input: readonly string[]): GraphSpec {
    const layer = new AtbGraph(`${phase}_${slides ? 'sliding_' : ''}layer_graph`, `${this.scope}.`);
    layer.addInputOutput({ input, output: ['layer_out'] });
    this.buildLayerGraph(layer, phase);
    return layer.build();
  }
}
