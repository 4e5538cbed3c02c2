import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';

/** Axes of heads and of tokens, swapped. */
const SWAP = [1, 0, 2] as const;

/**
 * Multiplies each head of `x` [tokens, heads, in] with a matrix of its own, of [heads, out, in]: -> `<name>_out`
 * [tokens, heads, out], whose name is returned.
 */
export function multiplyHeads(graph: AtbGraph, name: string, x: string, matrices: string): string {
  const [byHead, product, out] = [`${name}_heads`, `${name}_product`, `${name}_out`];
  graph.addOperation(new BaseOperation('Transpose', { perm: SWAP }, `${name}_transpose`), [x], [byHead]);
  const linear = new BaseOperation('Linear', { transposeB: true, hasBias: false }, name);
  graph.addOperation(linear, [byHead, matrices], [product]);
  graph.addOperation(new BaseOperation('Transpose', { perm: SWAP }, `${name}_back`), [product], [out]);
  return out;
}
