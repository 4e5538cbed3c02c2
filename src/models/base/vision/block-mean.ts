import { type AtbGraph, BaseOperation } from '../../../graph/atb-graph.js';
import { gatherRows } from '../../../layers/formulas/gather-rows.js';
import { addScaled } from '../../../layers/formulas/residual.js';
import { MERGED_PATCHES } from '../../../step-inputs/index.js';

/** Adds the means of blocks of `area` patches: [patches, hidden] -> `block_mean` [blocks, hidden], whose name comes back. */
export function buildBlockMean(graph: AtbGraph, hidden: string, area: number): string {
  const blocks = gatherRows(graph, hidden, MERGED_PATCHES, 'merged_hidden');
  const sum = new BaseOperation('Reduce', { reduceType: 'REDUCE_SUM', axis: [1] }, 'block_sum');
  graph.addOperation(sum, [blocks], ['block_sum']);
  return addScaled(graph, 'block_sum', 1 / area, 'block_mean');
}
