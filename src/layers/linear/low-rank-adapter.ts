import type { AtbGraph } from '../../graph/atb-graph.js';
import { Linear } from '../../weights/linear.js';
import type { LinearPart } from '../../weights/linear-part.js';
import type { Weights } from '../../weights/weights.js';
import { addPair, addResidual } from '../formulas/residual.js';
import { Module } from '../module.js';
import { buildLinear } from './linear-steps.js';

/** The sizes of an adapter. */
export interface AdapterSizes {
  readonly inFeatures: number;
  readonly rank: number;
  readonly outFeatures: number;
}

/** How an adapter differs from those of a layer. */
export interface AdapterOptions {
  /** The checkpoint's names of its two products; `0` and `1` when absent. */
  readonly names?: { readonly down: string; readonly up: string };
  /** The input [tokens, 1] that says how much it counts for each token; it counts whole when absent. */
  readonly shares?: string;
  /** Parts of its second product, where rows of that lie otherwise than those of the projection; one part when absent. */
  readonly parts?: readonly [LinearPart, ...LinearPart[]];
}

/** y + up(down(x)): what a layer adds to a projection that it shares with others (arXiv:2106.09685, section 4.1). */
export class LowRankAdapter extends Module {
  readonly down: Linear;
  readonly up: Linear;
  private readonly shares: string | undefined;

  /** `name` stands before its tensors in graphs. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    private readonly name: string,
    { inFeatures, rank, outFeatures }: AdapterSizes,
    weights: Weights,
    { names: { down, up } = { down: '0', up: '1' }, shares, parts }: AdapterOptions = {},
  ) {
    super();
    this.down = Linear.load(weights, { parts: [{ name: down, outFeatures: rank }], inFeatures });
    const packed = parts && { name: `${up}_packed`, parts };
    this.up = Linear.load(weights, {
      ...(packed ?? { parts: [{ name: up, outFeatures }] }),
      inFeatures: rank,
    });
    this.shares = shares;
  }

  /** `input` [tokens, in] and what the projection makes of it, [tokens, out] -> the sum's name, of the same shape. */
  buildGraph(graph: AtbGraph, input: string, projected: string): string {
    return addResidual(graph, projected, this.buildPartGraph(graph, input), `${this.name}_adapted`);
  }

  /** `input` [tokens, in] -> the name of what is added to the projection's result, [tokens, out]. */
  buildPartGraph(graph: AtbGraph, input: string): string {
    const { name } = this;
    const low = buildLinear(graph, this.down, input, `${name}_down_out`);
    const up = buildLinear(graph, this.up, low, `${name}_up_out`);
    return this.shares ? addPair(graph, 'ELEWISE_MUL', up, this.shares, `${name}_up_share`) : up;
  }
}
