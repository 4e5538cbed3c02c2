import type { NodeSpec } from '../graph-spec.js';
import type { GraphPass } from './pass.js';
import { type Pattern, paramOf, type Rewriting, rewriteMatches } from './pattern.js';

/**
 * Heads that are multiplied with a matrix each, which ATB's JSON says as transpose, product, transpose, are multiplied where
 * they lie: the product that ATB calls MATMUL_EIN_SUM.
 */
export const headProducts: GraphPass = {
  name: 'head-products',
  summary: 'multiplies heads with a matrix each where they lie, without transposing them',
  rewrite: (spec) => rewriteMatches(spec, match),
};

/** [tokens, heads, size] <-> [heads, tokens, size]. */
const swapsHeads = (node: NodeSpec | undefined): boolean =>
  paramOf(node, 'Transpose')?.perm.join() === '1,0,2';

function match(pattern: Pattern, product: NodeSpec): Rewriting | undefined {
  const param = paramOf(product, 'Linear');
  const [x, weight] = product.inputs as [string, string];
  if (!param?.transposeB || param.hasBias || param.enAccum || param.outDataType || param.matmulType)
    return undefined;
  const before = pattern.producer(x)?.node;
  const [result] = product.outputs as [string];
  const after = pattern.soleReading(result)?.node;
  if (!before || !swapsHeads(before) || !pattern.soleReading(x) || !after || !swapsHeads(after))
    return undefined;
  const isView = [x, ...after.inputs].some((name) => name in pattern.spec.views);
  if (isView || !pattern.spec.inputs.includes(weight)) return undefined;
  const fused: NodeSpec = {
    ...product,
    op: { type: 'Linear', param: { ...param, matmulType: 'MATMUL_EIN_SUM' } },
    inputs: [before.inputs[0] as string, weight],
    outputs: after.outputs,
  };
  return new Map<NodeSpec, readonly NodeSpec[]>([
    [before, []],
    [product, [fused]],
    [after, []],
  ]);
}
