import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import { DISTANCE_ROWS } from '../../step-inputs/index.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { Module } from '../module.js';
import { BaseLayerNorm } from '../norms/norms.js';
import { DISTANCE_VECTORS } from './disentangled-attention.js';

/** What the table is and whether its rows have a norm. */
export interface DistanceVectorSizes {
  readonly rows: number;
  readonly hiddenSize: number;
  /** Of the norm; none when absent. */
  readonly epsilon: number | undefined;
}

/** The vectors of distances that disentangled attention reads: rows of a table, normed in models that norm them. */
export class DistanceVectors extends Module {
  readonly norm: BaseLayerNorm | undefined;
  /** [rows, hidden] */
  private readonly table: TensorRef;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH. */
  constructor(weights: Weights, { rows, hiddenSize, epsilon }: DistanceVectorSizes) {
    super();
    this.table = weights.at('rel_embeddings').get('weight', [rows, hiddenSize]);
    this.norm =
      epsilon === undefined
        ? undefined
        : new BaseLayerNorm(weights.at('LayerNorm'), hiddenSize, epsilon, { name: 'distance_norm' });
  }

  override getWeights(): TensorRef[] {
    return [this.table, ...super.getWeights()];
  }

  /** `distance_rows` [R] -> `distance_vectors` [R, hidden]. */
  buildGraph(graph: AtbGraph): void {
    const gathered = this.norm ? 'distance_table_rows' : DISTANCE_VECTORS;
    const gather = new BaseOperation('Gather', { axis: 0 }, gathered);
    graph.addOperation(gather, [this.table.name, DISTANCE_ROWS], [gathered]);
    this.norm?.buildGraph(graph, gathered, DISTANCE_VECTORS);
  }
}
