import { type AtbGraph, BaseOperation } from '../../../graph/atb-graph.js';
import { sumOfRows } from '../../../layers/formulas/gather-rows.js';
import { Module } from '../../../layers/module.js';
import { TrainedNorm } from '../../../layers/norms/trained-norm.js';
import { TAP_ROWS } from '../../../step-inputs/index.js';
import { constantWeight, flattened, rowsOf, transposed } from '../../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../../weights/weights.js';
import type { RowProduct } from './conformer.js';

/** What `NormedTaps` is told. */
export interface TapSizes {
  readonly channels: number;
  /** Rows that the convolution sees, as `soundTaps` names them. */
  readonly taps: number;
}

/**
 * Each channel's convolution over rows about its own, and what batches of training were normed by: (conv(x) - mean) /
 * sqrt(variance + epsilon) * weight + bias, roots in f32 (arXiv:1502.03167). [rows, channels] -> the same shape.
 */
export class NormedTaps extends Module implements RowProduct {
  /** Of each place that is seen, [1, channels]. */
  private readonly taps: readonly TensorRef[];
  private readonly zeros: TensorRef;
  readonly norm: TrainedNorm;

  /** `conv` has [channels, 1, taps], `norm` four vectors. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH. */
  constructor(conv: Weights, norm: Weights, { channels, taps }: TapSizes) {
    super();
    const table = transposed(flattened(conv.get('weight', [channels, 1, taps])));
    this.taps = Array.from({ length: taps }, (_, tap) => rowsOf(table, tap, 1, conv.path(`weight.${tap}`)));
    this.zeros = constantWeight(conv.path('row_beside'), [1, channels], 0);
    this.norm = new TrainedNorm(norm, channels);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), ...this.taps, this.zeros];
  }

  buildGraph(graph: AtbGraph, rows: string): string {
    const concat = new BaseOperation('Concat', { concatDim: 0 }, 'conv_padded');
    graph.addOperation(concat, [rows, this.zeros.name], ['conv_padded']);
    const shares = this.taps.map(({ name }, tap) => ({ rows: TAP_ROWS(tap), weights: name }));
    const sum = sumOfRows(graph, 'conv_padded', shares, 'conv_sum');
    return this.norm.buildGraph(graph, sum, 'conv');
  }
}
