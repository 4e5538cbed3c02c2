import type { FloatDType } from '../../../dtype.js';
import { type AtbGraph, BaseOperation, dim } from '../../../graph/atb-graph.js';
import { addNarrowed, addWidened } from '../../../layers/formulas/casts.js';
import { gatherRows } from '../../../layers/formulas/gather-rows.js';
import { addInverseRoot } from '../../../layers/formulas/inverse-root.js';
import { addPair, addResidual } from '../../../layers/formulas/residual.js';
import { Module } from '../../../layers/module.js';
import type { NormStep } from '../../../layers/norms/norms.js';
import type { TimeGroup } from '../../../step-inputs/index.js';
import { constantWeight, inF32 } from '../../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../../weights/weights.js';

/** What such a norm is told. */
export interface TimeNormSizes {
  readonly channels: number;
  /** Results of one time, each of so many channels. */
  readonly bins: number;
  readonly epsilon: number;
}

/**
 * (x - mean) / deviation * weight, both over all that a sound was up to x's time. Squares are those of distances from the mean
 * of their own time: [results, channels] -> the same shape.
 */
export class TimeNorm extends Module implements NormStep {
  private readonly weight: TensorRef;
  /** A mean as a product: [1, bins * channels]. */
  private readonly parts: TensorRef;
  private readonly zero: TensorRef;
  private readonly epsilon: TensorRef;
  private readonly dtype: FloatDType;

  /** `name` tells norms apart in graphs. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH. */
  constructor(
    weights: Weights,
    private readonly sizes: TimeNormSizes,
    private readonly group: TimeGroup,
    private readonly name: string,
  ) {
    super();
    const { channels, bins, epsilon } = sizes;
    this.dtype = weights.dtype ?? 'bf16';
    this.weight = weights.get('weight', [channels]);
    this.parts = constantWeight(weights.path('parts'), [1, bins * channels], 1 / (bins * channels));
    this.zero = constantWeight(weights.path('zero'), [1, 1], 0);
    this.epsilon = inF32(constantWeight(weights.path('epsilon'), [1], epsilon));
  }

  override getWeights(): TensorRef[] {
    return [this.weight, this.parts, this.zero, this.epsilon];
  }

  buildGraph(graph: AtbGraph, input: string): string {
    const { name, dtype } = this;
    const { bins, channels } = this.sizes;
    const times = gatherRows(graph, input, this.group.rows, `${name}_times`);
    graph.addReshape(times, `${name}_flat`, [dim(0), dim(1, 2)]);
    const mean = this.buildMeansGraph(graph, `${name}_flat`, `${name}_mean`);
    const distance = addPair(graph, 'ELEWISE_SUB', `${name}_flat`, mean, `${name}_distance`);
    const squares = addPair(graph, 'ELEWISE_MUL', distance, distance, `${name}_squares`);
    const variance = this.buildMeansGraph(graph, squares, `${name}_variance`);
    const wide = addWidened(graph, variance, dtype, `${name}_variance_wide`);
    const positive = addResidual(graph, wide, this.epsilon.name, `${name}_positive`);
    const root = addInverseRoot(
      graph,
      positive,
      name,
      dtype === 'f32' ? `${name}_scale` : `${name}_scale_wide`,
    );
    const scale = addNarrowed(graph, root, dtype, `${name}_scale`);
    const normed = addPair(graph, 'ELEWISE_MUL', distance, scale, `${name}_normed`);
    graph.addReshape(normed, `${name}_normed_times`, [dim(0), bins, channels]);
    graph.addReshape(`${name}_normed_times`, `${name}_normed_rows`, [dim(0, 1), dim(2)]);
    return addPair(graph, 'ELEWISE_MUL', `${name}_normed_rows`, this.weight.name, `${name}_out`);
  }

  /** Means of rows up to each: [T, n] -> [T, 1]. */
  private buildMeansGraph(graph: AtbGraph, rows: string, out: string): string {
    const { steps, places, shares } = this.group;
    const linear = new BaseOperation('Linear', { transposeB: true, hasBias: false }, `${out}_linear`);
    graph.addOperation(linear, [rows, this.parts.name], [`${out}_of_times`]);
    const concat = new BaseOperation('Concat', { concatDim: 0 }, `${out}_padded`);
    graph.addOperation(concat, [`${out}_of_times`, this.zero.name], [`${out}_padded`]);
    const side = gatherRows(graph, `${out}_padded`, steps, `${out}_steps`);
    graph.addOperation(new BaseOperation('Cumsum', { axes: [0] }, `${out}_cumsum`), [side], [`${out}_sums`]);
    graph.addReshape(`${out}_sums`, `${out}_list`, [dim(0, 1), dim(2)]);
    const sums = gatherRows(graph, `${out}_list`, places, `${out}_sum_rows`);
    return addPair(graph, 'ELEWISE_MUL', sums, shares, out);
  }
}
