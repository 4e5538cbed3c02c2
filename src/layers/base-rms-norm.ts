import { CommonOpBuilderManager } from '../common-op-builders/index.js';
import { type AtbGraph, dim } from '../graph/atb-graph.js';
import type { TensorRef, Weights } from '../weights/weights.js';
import type { Module } from './module.js';

/** input [..., size] -> normOut [..., size]. Statistics in f32, output in the model's dtype. */
export class BaseRMSNorm implements Module {
  readonly weight: TensorRef;

  constructor(
    weights: Weights,
    size: number,
    readonly epsilon: number,
    readonly input: string,
    readonly normOut: string,
  ) {
    this.weight = weights.get('weight', [size]);
  }

  getWeights(): TensorRef[] {
    return [this.weight];
  }

  buildGraph(graph: AtbGraph): void {
    CommonOpBuilderManager.getBuilder({
      category: 'NORM',
      opName: `${this.normOut}_norm`,
      normType: 'RmsNorm',
      epsilon: this.epsilon,
      weight: this.weight.name,
      enableAddNorm: false,
    }).build(graph, { input: this.input, normOut: this.normOut });
  }
}

/** RMSNorm of each head of a projection: `source` [tokens, heads * headDim] -> `${source}_norm`, same shape. */
export class HeadNorm extends BaseRMSNorm {
  constructor(
    weights: Weights,
    private readonly headDim: number,
    epsilon: number,
    private readonly source: string,
    private readonly heads: number,
  ) {
    super(weights, headDim, epsilon, `${source}_heads`, `${source}_norm_heads`);
  }

  override buildGraph(graph: AtbGraph): void {
    graph.addReshape(this.source, this.input, [dim(0), this.heads, this.headDim]);
    super.buildGraph(graph);
    graph.addReshape(this.normOut, `${this.source}_norm`, [dim(0), dim(1, 2)]);
  }
}
