import type { NodeSpec } from '../graph-spec.js';
import type { GraphPass } from './pass.js';
import { type Pattern, paramOf, type Reading, type Rewriting, rewriteMatches } from './pattern.js';

/**
 * A product of streams or heads of tokens whose only reader adds it to others, or adds it up: it is as large as all of them,
 * and never written to memory.
 */
export const fusedMultiply: GraphPass = {
  name: 'fused-multiply',
  summary: 'adds products of streams to others, or up, as they are made',
  rewrite: (spec) => rewriteMatches(spec, match),
};

function match(pattern: Pattern, node: NodeSpec, at: number): Rewriting | undefined {
  if (paramOf(node, 'Elewise')?.elewiseType !== 'ELEWISE_MUL') return undefined;
  // A view says how many axes there are at least.
  if (!node.inputs.some((name) => (pattern.spec.views[name]?.shape.length ?? 0) >= 3)) return undefined;
  const [product] = node.outputs as [string];
  const reading = pattern.soleReading(product);
  if (!reading || reading.name !== product || !pattern.canMove(at, reading.at)) return undefined;
  const fused = fusedWith(node, reading);
  if (!fused) return undefined;
  return new Map([
    [node, []],
    [reading.node, [{ ...reading.node, ...fused }]],
  ]);
}

function fusedWith(
  { inputs }: NodeSpec,
  { node, input }: Reading,
): Pick<NodeSpec, 'op' | 'inputs'> | undefined {
  if (paramOf(node, 'Elewise')?.elewiseType === 'ELEWISE_ADD') {
    const other = node.inputs[1 - input] as string;
    return { op: { type: 'FusedMultiply', param: { follow: 'add' } }, inputs: [...inputs, other] };
  }
  const reduce = paramOf(node, 'Reduce');
  if (reduce?.reduceType !== 'REDUCE_SUM' || reduce.axis.length !== 1 || reduce.axis[0] !== 1)
    return undefined;
  return { op: { type: 'FusedMultiply', param: { follow: 'sum' } }, inputs };
}
