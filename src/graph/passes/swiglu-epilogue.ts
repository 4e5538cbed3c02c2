import type { NodeSpec } from '../graph-spec.js';
import type { GraphPass } from './pass.js';
import { type Pattern, paramOf, type Rewriting, rewriteMatches } from './pattern.js';
import { fusedLinear, productOf } from './product.js';

/** A product of gate and up whose only reader is SwiGLU: pairs of panels meet while they are in registers. */
export const swigluEpilogue: GraphPass = {
  name: 'swiglu-epilogue',
  summary: 'applies SwiGLU inside the product of gate and up',
  rewrite: (spec) => rewriteMatches(spec, match),
};

function match(pattern: Pattern, node: NodeSpec): Rewriting | undefined {
  const product = productOf(pattern.spec, node);
  if (!product || product.activation || product.residual !== undefined || product.outDataType)
    return undefined;
  const [gateUp] = node.outputs as [string];
  const reading = pattern.soleReading(gateUp);
  const param = paramOf(reading?.node, 'Activation');
  if (!reading || param?.activationType !== 'ACTIVATION_SWIGLU_FORWARD' || param.dim !== -1) return undefined;
  if (reading.name !== gateUp) return undefined;
  const [output] = reading.node.outputs as [string];
  return new Map([
    [node, [fusedLinear(node.name, { ...product, activation: 'swiglu' }, output)]],
    [reading.node, []],
  ]);
}
