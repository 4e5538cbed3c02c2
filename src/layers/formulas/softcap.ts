import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import { addScaled } from './residual.js';

/** Adds `out` = cap * tanh(input / cap), elementwise and of the input's shape. Returns `out`. */
export function addSoftcap(graph: AtbGraph, input: string, cap: number, out: string): string {
  const scaled = addScaled(graph, input, 1 / cap, `${out}_scaled`);
  const tanh = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_TANH' }, `${out}_tanh`);
  graph.addOperation(tanh, [scaled], [`${out}_bounded`]);
  return addScaled(graph, `${out}_bounded`, cap, out);
}
