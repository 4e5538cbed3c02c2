import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';

/** Adds rows of a table, as `rows` names them: `table` [n, ...], `rows` [tokens] -> `out` [tokens, ...]. Returns `out`. */
export function gatherRows(graph: AtbGraph, table: string, rows: string, out: string): string {
  graph.addOperation(new BaseOperation('Gather', { axis: 0 }, `${out}_gather`), [table, rows], [out]);
  return out;
}
