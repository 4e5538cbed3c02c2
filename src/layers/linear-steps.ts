import { CommonOpBuilderManager, SINGLE_RANK } from '../common-op-builders/index.js';
import type { AtbGraph } from '../graph/atb-graph.js';
import type { GraphKind } from '../graph/graph-kind.js';
import type { Linear } from '../weights/linear.js';

/** Adds a linear: `input` [rows, in] -> `linearOut` [rows, out]. Returns `linearOut`. */
export function buildLinear(graph: AtbGraph, linear: Linear, input: string, linearOut: string): string {
  const opName = linearOut.replace(/_out$/, '');
  CommonOpBuilderManager.getBuilder({ category: 'LINEAR', opName, linear }).build(graph, {
    input,
    linearOut,
  });
  return linearOut;
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
