import type { AtbGraph } from '../../graph/atb-graph.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import { addResidual } from '../formulas/residual.js';
import { buildLinear } from '../linear/linear-steps.js';
import { Module } from '../module.js';
import { BaseRMSNorm } from './norms.js';

/** What it is told by the configuration. */
export interface LowRankConfig {
  readonly hiddenSize: number;
  readonly laurelRank: number;
  readonly rmsNormEps: number;
}

/** x + norm(right(left(x))), a residual that is learned with a low rank (arXiv:2411.07501). */
export class LowRankResidual extends Module {
  readonly left: Linear;
  readonly right: Linear;
  readonly norm: BaseRMSNorm;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor({ hiddenSize, laurelRank, rmsNormEps }: LowRankConfig, weights: Weights) {
    super();
    const load = (name: string, inFeatures: number, outFeatures: number) =>
      Linear.load(weights, { parts: [{ name, outFeatures }], inFeatures });
    this.left = load('linear_left', hiddenSize, laurelRank);
    this.right = load('linear_right', laurelRank, hiddenSize);
    this.norm = new BaseRMSNorm(weights.at('post_laurel_norm'), hiddenSize, rmsNormEps);
  }

  /** `input` [tokens, hidden] -> the same shape. */
  buildGraph(graph: AtbGraph, input: string): string {
    const left = buildLinear(graph, this.left, input, 'laurel_left_out');
    const right = buildLinear(graph, this.right, left, 'laurel_right_out');
    return addResidual(graph, input, this.norm.buildGraph(graph, right), 'laurel_out');
  }
}
