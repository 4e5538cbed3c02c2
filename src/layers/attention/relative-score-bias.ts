import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import { RELATIVE_BUCKETS } from '../../step-inputs/index.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { Module } from '../module.js';

/** What is added to the scores of each layer, [heads, context, context] in the model's dtype. */
export const SCORE_BIAS = 'score_bias';

/**
 * A learned number for each head and each bucket of distances, which attention adds to its scores: the same in every
 * layer (arXiv:1910.10683, section 2.1).
 */
export class RelativeScoreBias extends Module {
  /** [buckets, heads] */
  private readonly weight: TensorRef;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH. */
  constructor(weights: Weights, buckets: number, heads: number) {
    super();
    this.weight = weights.get('weight', [buckets, heads]);
  }

  override getWeights(): TensorRef[] {
    return [this.weight];
  }

  /** `relative_buckets` [context, context] -> `score_bias` [heads, context, context]. */
  buildGraph(graph: AtbGraph): string {
    const gather = new BaseOperation('Gather', { axis: 0 }, 'distance_numbers');
    graph.addOperation(gather, [this.weight.name, RELATIVE_BUCKETS], ['distance_numbers']);
    const transpose = new BaseOperation('Transpose', { perm: [2, 0, 1] }, SCORE_BIAS);
    graph.addOperation(transpose, ['distance_numbers'], [SCORE_BIAS]);
    return SCORE_BIAS;
  }
}
