import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';

/** Cuts the last axis of `input` [tokens, size] into two or three parts, which are named with their sizes. */
export function addSplit(
  graph: AtbGraph,
  name: string,
  input: string,
  parts: readonly (readonly [string, number])[],
): void {
  const splitSizes = parts.map(([, size]) => size);
  const splitNum = parts.length === 2 ? 2 : 3;
  const op = new BaseOperation('Split', { splitDim: 1, splitNum, splitSizes }, name);
  graph.addOperation(
    op,
    [input],
    parts.map(([out]) => out),
  );
}

/** Two tensors [tokens, columns] side by side as `out`. Returns `out`. */
export function beside(graph: AtbGraph, left: string, right: string, out: string): string {
  graph.addOperation(new BaseOperation('Concat', { concatDim: 1 }, `${out}_concat`), [left, right], [out]);
  return out;
}

/** Any number of tensors [tokens, columns] side by side as `out`, pair by pair. Returns `out`; a single one as it is. */
export const allBeside = (graph: AtbGraph, parts: readonly string[], out: string): string =>
  parts.reduce((before, next, at) =>
    beside(graph, before, next, at === parts.length - 1 ? out : `${out}_${at}`),
  );
