import type { AtbGraph } from '../graph/atb-graph.js';
import { Linear } from '../weights/linear.js';
import type { Weights } from '../weights/weights.js';
import { buildLinear } from './linear-steps.js';
import { Module } from './module.js';
import { addResidual } from './residual.js';

/** The sizes of an adapter. */
export interface AdapterSizes {
  readonly inFeatures: number;
  readonly rank: number;
  readonly outFeatures: number;
}

/** y + up(down(x)): what a layer adds to a projection that it shares with others (arXiv:2106.09685, section 4.1). */
export class LowRankAdapter extends Module {
  readonly down: Linear;
  readonly up: Linear;

  /** `name` stands before its tensors in graphs. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    private readonly name: string,
    { inFeatures, rank, outFeatures }: AdapterSizes,
    weights: Weights,
  ) {
    super();
    this.down = Linear.load(weights, { parts: [{ name: '0', outFeatures: rank }], inFeatures });
    this.up = Linear.load(weights, { parts: [{ name: '1', outFeatures }], inFeatures: rank });
  }

  /** `input` [tokens, in] and what the projection makes of it, [tokens, out] -> the sum's name, of the same shape. */
  buildGraph(graph: AtbGraph, input: string, projected: string): string {
    const { name } = this;
    const low = buildLinear(graph, this.down, input, `${name}_down_out`);
    return addResidual(
      graph,
      projected,
      buildLinear(graph, this.up, low, `${name}_up_out`),
      `${name}_adapted`,
    );
  }
}
