import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';

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

/** `out`, one of ATB's operations on two tensors, which broadcast. Returns `out`. */
export function addPair(
  graph: AtbGraph,
  elewiseType: 'ELEWISE_SUB' | 'ELEWISE_MUL' | 'ELEWISE_REALDIV',
  a: string,
  b: string,
  out: string,
): string {
  graph.addOperation(new BaseOperation('Elewise', { elewiseType }, `${out}_op`), [a, b], [out]);
  return out;
}
