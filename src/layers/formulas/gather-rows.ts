import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { RowShare } from '../../step-inputs/index.js';
import { addResidual } from './residual.js';

/** Adds rows of a table, as `rows` names them: `table` [n, ...], `rows` [tokens] -> `out` [tokens, ...]. Returns `out`. */
export function gatherRows(graph: AtbGraph, table: string, rows: string, out: string): string {
  graph.addOperation(new BaseOperation('Gather', { axis: 0 }, `${out}_gather`), [table, rows], [out]);
  return out;
}

/**
 * Adds sums of a table's rows: `table` [n, hidden], of each share its rows [tokens] and what they count, [tokens, 1] -> `sum`
 * [tokens, hidden], whose name comes back.
 */
export function sumOfRows(graph: AtbGraph, table: string, shares: readonly RowShare[], sum: string): string {
  const parts = shares.map(({ rows, weights }) => {
    const [row, share] = [`${rows}_row`, `${rows}_share`];
    gatherRows(graph, table, rows, row);
    const multiply = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, share);
    graph.addOperation(multiply, [row, weights], [share]);
    return share;
  });
  return parts.reduce((a, b, at) => addResidual(graph, a, b, `${sum}_${at}`));
}
