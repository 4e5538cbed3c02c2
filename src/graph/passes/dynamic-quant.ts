import type { NodeSpec } from '../graph-spec.js';
import type { GraphPass } from './pass.js';
import { type Pattern, paramOf, type Rewriting, rewriteMatches } from './pattern.js';
import { fusedLinear } from './product.js';

/**
 * DynamicQuant whose only reader is a product of integers: its threads quantise the rows themselves. Products of integers
 * with floats do so where a hint says that the rows are meant to be int8, which ATB cannot say of 4-bit weights.
 */
export const dynamicQuant: GraphPass = {
  name: 'dynamic-quant',
  summary: 'quantises rows inside the product that reads them',
  rewrite: (spec) => rewriteMatches(spec, match),
};

/** The product that does what a hint says, which goes. */
function int8Product(node: NodeSpec): NodeSpec | undefined {
  const { op, hint, ...rest } = node;
  if (!hint?.int8Activations || 'graph' in op) return undefined;
  const { int8Activations, ...others } = hint;
  return { ...rest, op: { ...op, param: { ...op.param, int8Activations } }, hint: others };
}

function match(pattern: Pattern, node: NodeSpec, at: number): Rewriting | undefined {
  const product = int8Product(node);
  if (product) return new Map([[node, [product]]]);
  if (!paramOf(node, 'DynamicQuant')) return undefined;
  const [int8, tokenScale] = node.outputs as [string, string];
  const [rows, scales] = [pattern.soleReading(int8), pattern.soleReading(tokenScale)];
  if (!rows || rows.node !== scales?.node || rows.name !== int8 || scales.name !== tokenScale)
    return undefined;
  const param = paramOf(rows.node, 'W8A8MatMul');
  // Only a hint says that the result has the dtype of what was quantised.
  if (!param?.transposeB || !param.hasPerTokenScale || !rows.node.hint?.symmetric) return undefined;
  if (rows.input !== 0 || scales.input !== 3 || !pattern.canMove(at, rows.at)) return undefined;
  const [, weight, scale, , bias] = rows.node.inputs as [string, string, string, string, string?];
  if (!pattern.spec.inputs.includes(weight)) return undefined;
  const fused = {
    x: node.inputs[0] as string,
    weight,
    integers: { scale, bits: 8, groupSize: 0, int8Activations: true },
    ...(bias !== undefined && { bias }),
    ...(param.outDataType === 'ACL_FLOAT' && { outDataType: param.outDataType }),
  } as const;
  const [output] = rows.node.outputs as [string];
  return new Map([
    [node, []],
    [rows.node, [fusedLinear(rows.node.name, fused, output)]],
  ]);
}
