import type { FloatDType } from '../../dtype.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import { constantWeight, inF32 } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { addNarrowed } from '../formulas/casts.js';
import { addInverseRoot } from '../formulas/inverse-root.js';
import { addPair, addResidual } from '../formulas/residual.js';
import { Module } from '../module.js';

/** Of all such norms: torch has it so where nobody says otherwise. */
const EPSILON = 1e-5;

/** (x - mean) / sqrt(variance + epsilon) * weight + bias of each channel, by numbers of training (batch norm). */
export class TrainedNorm extends Module {
  private readonly weight: TensorRef;
  private readonly bias: TensorRef;
  private readonly mean: TensorRef;
  private readonly variance: TensorRef;
  private readonly epsilon: TensorRef;
  private readonly dtype: FloatDType;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH. */
  constructor(weights: Weights, channels: number) {
    super();
    this.dtype = weights.dtype ?? 'bf16';
    const vector = (name: string): TensorRef => weights.get(name, [channels]);
    this.epsilon = inF32(constantWeight(weights.path('epsilon'), [1], EPSILON));
    this.weight = vector('weight');
    this.bias = vector('bias');
    this.mean = vector('running_mean');
    this.variance = inF32(vector('running_var'));
  }

  override getWeights(): TensorRef[] {
    return [this.epsilon, this.weight, this.bias, this.mean, this.variance];
  }

  /** `input` [rows, channels] -> `<name>_out`, the same shape, whose name comes back. */
  buildGraph(graph: AtbGraph, input: string, name: string): string {
    const { dtype } = this;
    const positive = addResidual(graph, this.variance.name, this.epsilon.name, `${name}_variance`);
    const root = addInverseRoot(
      graph,
      positive,
      name,
      dtype === 'f32' ? `${name}_root` : `${name}_root_wide`,
    );
    const narrow = addNarrowed(graph, root, dtype, `${name}_root`);
    const scale = addPair(graph, 'ELEWISE_MUL', narrow, this.weight.name, `${name}_scale`);
    const distance = addPair(graph, 'ELEWISE_SUB', input, this.mean.name, `${name}_distance`);
    const normed = addPair(graph, 'ELEWISE_MUL', distance, scale, `${name}_normed`);
    return addResidual(graph, normed, this.bias.name, `${name}_out`);
  }
}
