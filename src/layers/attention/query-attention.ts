import { CommonOpBuilderManager } from '../../common-op-builders/index.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { FULL_MASK } from '../../step-inputs/index.js';

/** The heads of learned queries and of the rows that they look at. */
export interface QueryHeads {
  readonly headNum: number;
  /** As many as of queries when absent. */
  readonly kvHeadNum?: number;
  readonly headDim: number;
}

/** What queries read: `seqLen` is the input i32 [2, sequences] of how many queries and rows each has. */
export interface QueryTensors {
  readonly q: string;
  readonly k: string;
  readonly v: string;
  readonly seqLen: string;
  readonly attentionOut: string;
}

/** Queries [queries, heads * headDim] attend to all rows of their sequence, which are others than theirs. Returns `attentionOut`. */
export function attendWithQueries(
  graph: AtbGraph,
  kind: GraphKind,
  opName: string,
  { headNum, kvHeadNum = headNum, headDim }: QueryHeads,
  tensors: QueryTensors,
): string {
  const sizes = { headNum, kvHeadNum, headDim, scale: 1 / Math.sqrt(headDim) };
  CommonOpBuilderManager.getBuilder({
    ...{ category: 'ATTENTION', opName, attnType: 'PAGED_ATTENTION', kind },
    ...sizes,
    isCausal: false,
  }).build(graph, { ...tensors, attentionMask: FULL_MASK, qLen: 'q_len' });
  return tensors.attentionOut;
}
