import type { NodeSpec } from '../graph-spec.js';
import type { GraphPass } from './pass.js';
import { type Pattern, paramOf, type Rewriting, rewriteMatches } from './pattern.js';
import { fusedLinear, productOf } from './product.js';

/** RmsNorm whose only reader is a product: its threads normalise the rows themselves, which saves a barrier. */
export const normLinear: GraphPass = {
  name: 'norm-linear',
  summary: 'normalises rows inside the product that reads them',
  rewrite: (spec) => rewriteMatches(spec, match),
};

function match(pattern: Pattern, node: NodeSpec, at: number): Rewriting | undefined {
  const plain = plainNorm(node);
  const [normed] = node.outputs;
  if (!plain || normed === undefined) return undefined;
  const reading = pattern.soleReading(normed);
  const product = reading && productOf(pattern.spec, reading.node);
  if (!reading || !product || product.norm || reading.input !== 0 || reading.name !== normed)
    return undefined;
  if (!pattern.canMove(at, reading.at)) return undefined;
  const { x, ...norm } = plain;
  const [output] = reading.node.outputs as [string];
  const fused = fusedLinear(reading.node.name, { ...product, x, norm }, output);
  return new Map([
    [node, []],
    [reading.node, [fused]],
  ]);
}

/** What a node normalises, when it is an RmsNorm as LLaMA's, without sums and without quantisation. */
export function plainNorm(
  node: NodeSpec | undefined,
): { readonly x: string; readonly gamma: string; readonly epsilon: number } | undefined {
  const param = paramOf(node, 'RmsNorm');
  if (!node || param?.layerType !== 'RMS_NORM_NORM') return undefined;
  const { epsilon, quantType = 'QUANT_UNDEFINED', modelType = 'LLAMA_MODEL' } = param.normParam;
  if (quantType !== 'QUANT_UNDEFINED' || modelType !== 'LLAMA_MODEL') return undefined;
  const [x, gamma] = node.inputs as [string, string];
  return { x, gamma, epsilon };
}
