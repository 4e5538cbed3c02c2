import { type AtbGraph, dim } from '../../graph/atb-graph.js';
import { POSITION_LOGS } from '../../step-inputs/index.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { addPair, addResidual } from '../formulas/residual.js';
import { Module } from '../module.js';

/**
 * By what queries of each head are multiplied: s ln(1 + position) + b, both learned for each head (scalable softmax,
 * arXiv:2501.19399).
 */
export class GrownQueries extends Module {
  private readonly slope: TensorRef;
  private readonly start: TensorRef;

  /** `weights` is the cursor of `s` and `b` [heads]. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH. */
  constructor(
    private readonly heads: number,
    weights: Weights,
  ) {
    super();
    this.slope = weights.get('s', [heads]);
    this.start = weights.get('b', [heads]);
  }

  override getWeights(): TensorRef[] {
    return [this.slope, this.start];
  }

  /** Adds the factors as `out` [tokens, heads, 1]. */
  buildFactorsGraph(graph: AtbGraph, out: string): string {
    const slopes = addPair(graph, 'ELEWISE_MUL', POSITION_LOGS, this.slope.name, `${out}_slopes`);
    const sums = addResidual(graph, slopes, this.start.name, `${out}_sums`);
    graph.addReshape(sums, out, [dim(0), this.heads, 1]);
    return out;
  }
}
