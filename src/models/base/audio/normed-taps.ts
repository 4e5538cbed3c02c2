import type { FloatDType } from '../../../dtype.js';
import { type AtbGraph, BaseOperation } from '../../../graph/atb-graph.js';
import { addNarrowed } from '../../../layers/casts.js';
import { sumOfRows } from '../../../layers/gather-rows.js';
import { addInverseRoot } from '../../../layers/inverse-root.js';
import { Module } from '../../../layers/module.js';
import { addPair, addResidual } from '../../../layers/residual.js';
import { TAP_ROWS } from '../../../step-inputs/index.js';
import { constantWeight, flattened, inF32, rowsOf, transposed } from '../../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../../weights/weights.js';
import type { RowProduct } from './conformer.js';

/** Of torch's norm over a batch, where nobody says otherwise. */
const EPSILON = 1e-5;

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
  private readonly epsilon: TensorRef;
  private readonly weight: TensorRef;
  private readonly bias: TensorRef;
  private readonly mean: TensorRef;
  private readonly variance: TensorRef;
  private readonly dtype: FloatDType;

  /** `conv` has [channels, 1, taps], `norm` four vectors. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH. */
  constructor(conv: Weights, norm: Weights, { channels, taps }: TapSizes) {
    super();
    this.dtype = conv.dtype ?? 'bf16';
    const table = transposed(flattened(conv.get('weight', [channels, 1, taps])));
    this.taps = Array.from({ length: taps }, (_, tap) => rowsOf(table, tap, 1, conv.path(`weight.${tap}`)));
    this.zeros = constantWeight(conv.path('row_beside'), [1, channels], 0);
    this.epsilon = inF32(constantWeight(norm.path('epsilon'), [1], EPSILON));
    const vector = (name: string) => norm.get(name, [channels]);
    this.weight = vector('weight');
    this.bias = vector('bias');
    this.mean = vector('running_mean');
    this.variance = inF32(vector('running_var'));
  }

  override getWeights(): TensorRef[] {
    const { taps, zeros, epsilon, weight, bias, mean, variance } = this;
    return [...taps, zeros, epsilon, weight, bias, mean, variance];
  }

  buildGraph(graph: AtbGraph, rows: string): string {
    const { dtype } = this;
    const concat = new BaseOperation('Concat', { concatDim: 0 }, 'conv_padded');
    graph.addOperation(concat, [rows, this.zeros.name], ['conv_padded']);
    const shares = this.taps.map(({ name }, tap) => ({ rows: TAP_ROWS(tap), weights: name }));
    const sum = sumOfRows(graph, 'conv_padded', shares, 'conv_sum');
    const positive = addResidual(graph, this.variance.name, this.epsilon.name, 'conv_variance');
    const root = addInverseRoot(graph, positive, 'conv', dtype === 'f32' ? 'conv_root' : 'conv_root_wide');
    const narrow = addNarrowed(graph, root, dtype, 'conv_root');
    const scale = addPair(graph, 'ELEWISE_MUL', narrow, this.weight.name, 'conv_scale');
    const distance = addPair(graph, 'ELEWISE_SUB', sum, this.mean.name, 'conv_distance');
    const normed = addPair(graph, 'ELEWISE_MUL', distance, scale, 'conv_normed');
    return addResidual(graph, normed, this.bias.name, 'conv_out');
  }
}
