import type { NodeSpec } from '../graph-spec.js';
import { normOf } from './norm-linear.js';
import type { GraphPass } from './pass.js';
import { type Pattern, paramOf, type Rewriting, rewriteMatches } from './pattern.js';
import { fusedLinear, productOf } from './product.js';

/** A product or RmsNorm whose only reader adds the residual stream: the sum is rounded once. */
export const residualEpilogue: GraphPass = {
  name: 'residual-epilogue',
  summary: 'adds the residual inside the product or norm before it',
  rewrite: (spec) => rewriteMatches(spec, match),
};

function match(pattern: Pattern, node: NodeSpec, at: number): Rewriting | undefined {
  const adding = addingTo(pattern, node);
  if (!adding) return undefined;
  const [out] = node.outputs as [string];
  const reading = pattern.soleReading(out);
  if (!reading || reading.name !== out) return undefined;
  if (paramOf(reading.node, 'Elewise')?.elewiseType !== 'ELEWISE_ADD') return undefined;
  const residual = reading.node.inputs[1 - reading.input] as string;
  if (!hasRows(pattern, residual) || !pattern.canMove(at, reading.at)) return undefined;
  const [sum] = reading.node.outputs as [string];
  return new Map([
    [node, []],
    [reading.node, [adding(residual, sum)]],
  ]);
}

/** What makes the node that adds a residual to what this one computes. */
function addingTo(
  pattern: Pattern,
  node: NodeSpec,
): ((residual: string, sum: string) => NodeSpec) | undefined {
  const product = productOf(pattern.spec, node);
  if (product) {
    if (product.residual !== undefined || product.outDataType) return undefined;
    return (residual, sum) => fusedLinear(node.name, { ...product, residual }, sum);
  }
  const param = paramOf(node, 'RmsNorm');
  if (param?.layerType !== 'RMS_NORM_NORM' || normOf(pattern, node) === undefined) return undefined;
  return (residual, sum) => ({
    ...node,
    op: { type: 'RmsNorm', param: { ...param, hasResidual: true } },
    inputs: [...node.inputs, residual],
    outputs: [sum],
  });
}

/** Operations whose first input holds rows of hidden states. */
const READS_ROWS = [
  'Linear',
  'FusedLinear',
  'W8A16MatMul',
  'W4A16MatMul',
  'DynamicQuant',
  'RmsNorm',
  'LayerNorm',
] as const;

/** Whether a tensor is made by a product or is the residual stream, which others normalise or multiply: no vector. */
function hasRows(pattern: Pattern, name: string): boolean {
  const made = pattern.producer(name)?.node;
  if (made?.outputs.includes(name) && productOf(pattern.spec, made)) return true;
  return pattern
    .readings(name)
    .some(
      (reading) =>
        reading.input === 0 &&
        reading.name === name &&
        READS_ROWS.some((type) => paramOf(reading.node, type)),
    );
}
