import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';

/** out = a + b, elementwise; all [tokens, hidden]. */
export function addResidual(graph: AtbGraph, a: string, b: string, out: string): void {
  graph.addOperation(
    new BaseOperation('Elewise', { elewiseType: 'ELEWISE_ADD' }, `${out}_add`),
    [a, b],
    [out],
  );
}
