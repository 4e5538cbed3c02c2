import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';

/** Adds `out` = a + b, elementwise; all [tokens, hidden]. Returns `out`. */
export function addResidual(graph: AtbGraph, a: string, b: string, out: string): string {
  graph.addOperation(
    new BaseOperation('Elewise', { elewiseType: 'ELEWISE_ADD' }, `${out}_add`),
    [a, b],
    [out],
  );
  return out;
}

/** Adds `out` = input * factor, elementwise and of the input's shape. Returns `out`. */
export function addScaled(graph: AtbGraph, input: string, factor: number, out: string): string {
  const param = { elewiseType: 'ELEWISE_MULS', mulsParam: { varAttr: factor } } as const;
  graph.addOperation(new BaseOperation('Elewise', param, `${out}_muls`), [input], [out]);
  return out;
}
