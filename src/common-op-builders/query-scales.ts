import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';

/** Queries, or a part of them, times what each token has for them, `queryScales` [tokens, 1], as `out`; the same without. */
export function scaledQueries(
  graph: AtbGraph,
  input: string,
  queryScales: string | undefined,
  out: string,
): string {
  if (queryScales === undefined) return input;
  const multiply = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, `${out}_mul`);
  graph.addOperation(multiply, [input, queryScales], [out]);
  return out;
}
