import type { GraphSpec, NodeSpec } from '../graph-spec.js';
import type { AtbOpParams } from '../op-params.js';
import { paramOf } from './pattern.js';

/** A Linear or FusedLinear taken apart, so that passes can add to it in any order. */
export interface Product {
  readonly x: string;
  readonly norm?: { readonly gamma: string; readonly epsilon: number };
  readonly weight: string;
  readonly bias?: string;
  readonly activation?: 'swiglu';
  readonly residual?: string;
  readonly outDataType?: 'ACL_FLOAT';
}

/** The product that a node computes; none where FusedLinear cannot say the same. */
export function productOf(spec: GraphSpec, node: NodeSpec): Product | undefined {
  const linear = paramOf(node, 'Linear');
  const fused = paramOf(node, 'FusedLinear');
  if (linear) {
    const { transposeA, transposeB, hasBias, enAccum, outDataType = 'ACL_DT_UNDEFINED' } = linear;
    if (transposeA || !transposeB || enAccum) return undefined;
    if (outDataType !== 'ACL_DT_UNDEFINED' && outDataType !== 'ACL_FLOAT') return undefined;
    const [x, weight, bias] = node.inputs as [string, string, string?];
    // A matrix that the graph itself computes may be one for each batch, which FusedLinear does not take.
    if (!spec.inputs.includes(weight)) return undefined;
    return {
      x,
      weight,
      ...(hasBias && bias !== undefined && { bias }),
      ...(outDataType === 'ACL_FLOAT' && { outDataType }),
    };
  }
  if (!fused) return undefined;
  const [x, ...rest] = node.inputs as [string, ...string[]];
  const next = (): string => rest.shift() as string;
  const { normEpsilon: epsilon, hasBias, activation, hasResidual, outDataType } = fused;
  return {
    x,
    ...(epsilon !== undefined && { norm: { gamma: next(), epsilon } }),
    weight: next(),
    ...(hasBias && { bias: next() }),
    ...(activation === 'swiglu' && { activation }),
    ...(hasResidual && { residual: next() }),
    ...(outDataType === 'ACL_FLOAT' && { outDataType }),
  };
}

/** The FusedLinear that computes a product. */
export function fusedLinear(name: string, product: Product, output: string): NodeSpec {
  const { x, norm, weight, bias, activation, residual, outDataType } = product;
  const param: AtbOpParams['FusedLinear'] = {
    transposeB: true,
    hasBias: bias !== undefined,
    ...(norm && { normEpsilon: norm.epsilon }),
    ...(activation && { activation }),
    ...(residual !== undefined && { hasResidual: true }),
    ...(outDataType && { outDataType }),
  };
  const inputs = [x, norm?.gamma, weight, bias, residual].filter((input) => input !== undefined);
  return { name, op: { type: 'FusedLinear', param }, inputs, outputs: [output] };
}
