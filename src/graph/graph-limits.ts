import { describeValue } from '../describe-value.js';
import type { FlatGraph } from './flatten.js';
import type { GraphSpec } from './graph-spec.js';
import type { LegalityProblem } from './legality-problem.js';

/** ATB's vectors hold so many (svector.h, MAX_SVECTOR_SIZE), and a graph so many nodes (graph_operation.cpp). */
export const MAX_GRAPH_TENSORS = 256;
const MAX_GRAPH_NODES = 1024;

/** What ATB counts of a graph that is one operation: GraphParam's numbers of tensors, and its nodes. */
export interface GraphCounts {
  readonly inputs: number;
  readonly outputs: number;
  /** Tensors that nodes write, apart from inputs and outputs. Views are none. */
  readonly inner: number;
  readonly nodes: number;
}

/** graph_operation.cpp:139-143, GraphParamCheck. */
export function limitProblems(name: string, counts: GraphCounts): LegalityProblem[] {
  const limits: readonly [what: string, found: number, limit: number][] = [
    ['nodes', counts.nodes, MAX_GRAPH_NODES],
    ['inputs', counts.inputs, MAX_GRAPH_TENSORS],
    ['outputs', counts.outputs, MAX_GRAPH_TENSORS],
    ['inner tensors', counts.inner, MAX_GRAPH_TENSORS],
  ];
  return limits
    .filter(([, found, limit]) => found > limit)
    .map(([what, found, limit]) => ({
      rule: 'graph',
      where: `graph ${describeValue(name)}`,
      text: `has ${found} ${what}, at most ${limit} are possible`,
    }));
}

export const graphCounts = ({ inputs, outputs, nodes }: GraphSpec): GraphCounts =>
  countsOf(
    inputs,
    outputs,
    nodes.map((node) => node.outputs),
  );

export const flatCounts = ({ inputs, outputs, nodes }: FlatGraph): GraphCounts =>
  countsOf(
    Object.keys(inputs),
    outputs,
    nodes.map((node) => node.out),
  );

function countsOf(
  inputs: readonly string[],
  outputs: readonly string[],
  written: readonly (readonly string[])[],
): GraphCounts {
  const inner = new Set(written.flat());
  for (const tensor of [...inputs, ...outputs]) inner.delete(tensor);
  return { inputs: inputs.length, outputs: outputs.length, inner: inner.size, nodes: written.length };
}
