import { type AtbGraph, BaseOperation, dim } from '../../../graph/atb-graph.js';
import { axisSharesOf, type DrawnAxis } from '../../../step-inputs/index.js';

/**
 * `places` [from, from, hidden] -> those of a square of another side, line by line: `drawn_table` [to * to, hidden].
 * Each axis in turn is the last one, and is drawn. Makes views, so it stands in a layer's graph.
 */
export function buildDrawnSquare(graph: AtbGraph, places: string, axis: DrawnAxis, hidden: number): string {
  const lastFirst = (input: string, out: string): string => {
    graph.addOperation(new BaseOperation('Transpose', { perm: [1, 2, 0] }, out), [input], [out]);
    return out;
  };
  const draw = (input: string, out: string, shape: readonly [number, number, number]): string => {
    graph.addReshape(input, `${out}_rows`, [dim(0, 1), dim(2)]);
    const linear = new BaseOperation('Linear', { transposeB: true, hasBias: false }, `${out}_draw`);
    graph.addOperation(linear, [`${out}_rows`, axisSharesOf(axis)], [`${out}_drawn`]);
    graph.addReshape(`${out}_drawn`, out, shape);
    return out;
  };
  const lines = draw(lastFirst(places, 'columns_first'), 'drawn_lines', [axis.from, hidden, axis.to]);
  const both = draw(lastFirst(lines, 'hidden_first'), 'drawn_columns', [hidden, axis.to, axis.to]);
  graph.addReshape(lastFirst(both, 'drawn_places'), 'drawn_table', [dim(0, 1), dim(2)]);
  return 'drawn_table';
}
