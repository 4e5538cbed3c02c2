import { type AtbGraph, BaseOperation, dim } from '../../../graph/atb-graph.js';
import { gatherRows } from '../../../layers/formulas/gather-rows.js';
import { MERGED_PATCHES } from '../../../step-inputs/index.js';

/**
 * What a convolution over blocks of patches reads, whose kernel lies as checkpoints have it, [channels, rows, columns]:
 * [patches, hidden] -> [tokens, hidden * area]. Returns its name.
 */
export function buildBlockRows(graph: AtbGraph, hidden: string): string {
  gatherRows(graph, hidden, MERGED_PATCHES, 'merged_hidden');
  const transpose = new BaseOperation('Transpose', { perm: [0, 2, 1] }, 'merged_transpose');
  graph.addOperation(transpose, ['merged_hidden'], ['merged_transposed']);
  graph.addReshape('merged_transposed', 'merged_rows', [dim(0), dim(1, 2)]);
  return 'merged_rows';
}
