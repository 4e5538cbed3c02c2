import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';

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
