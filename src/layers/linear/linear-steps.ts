import { CommonOpBuilderManager, SINGLE_RANK } from '../../common-op-builders/index.js';
import type { FloatDType } from '../../dtype.js';
import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import type { Linear } from '../../weights/linear.js';
import type { TensorRef } from '../../weights/weights.js';
import { addWidened } from '../formulas/casts.js';

/** Adds a linear: `input` [rows, in] -> `linearOut` [rows, out]. Returns `linearOut`. */
export function buildLinear(graph: AtbGraph, linear: Linear, input: string, linearOut: string): string {
  const opName = linearOut.replace(/_out$/, '');
  CommonOpBuilderManager.getBuilder({ category: 'LINEAR', opName, linear }).build(graph, {
    input,
    linearOut,
  });
  return linearOut;
}

/** A product in f32 whatever the model runs in, because something is chosen by it. */
export interface WideLinear {
  /** Of the operation. */
  readonly name: string;
  /** Kept in f32: [out, in]. */
  readonly weight: TensorRef;
  /** Of the model. */
  readonly dtype: FloatDType;
}

/** Adds such a product: `input` [rows, in] of the model's dtype -> `out` f32 [rows, out]. Returns `out`. */
export function buildWideLinear(
  graph: AtbGraph,
  { name, weight, dtype }: WideLinear,
  input: string,
  out: string,
): string {
  const wide = addWidened(graph, input, dtype, `${name}_input`);
  const linear = new BaseOperation('Linear', { transposeB: true, hasBias: false }, name);
  graph.addOperation(linear, [wide, weight.name], [out]);
  return out;
}

/**
 * A linear whose input features are spread over the ranks, so that their results are summed: `input` [tokens, in] ->
 * `linearOut` [tokens, out]. Returns `linearOut`.
 */
export function buildRowParallelLinear(
  graph: AtbGraph,
  kind: GraphKind,
  opName: string,
  linear: Linear,
  input: string,
  linearOut: string,
): string {
  CommonOpBuilderManager.getBuilder({
    category: 'LINEAR_PARALLEL',
    opName,
    linear,
    parallelType: 'ALL_REDUCE',
    parallelInfo: SINGLE_RANK,
    // Overlapping the product with the sum pays for many rows.
    enableLcoc: !kind.readsCache,
  }).build(graph, { input, linearOut });
  return linearOut;
}
