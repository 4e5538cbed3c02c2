import type { NodeSpec } from '../graph-spec.js';
import { normOf } from './norm-linear.js';
import type { GraphPass } from './pass.js';
import { type Pattern, paramOf, type Rewriting, rewriteMatches } from './pattern.js';
import { productOf } from './product.js';

/** Only the rows whose logits are wanted need the final norm. */
export const gatherFirst: GraphPass = {
  name: 'gather-first',
  summary: 'gathers rows before they are normalised, not after',
  rewrite: (spec) => rewriteMatches(spec, match),
};

function match(pattern: Pattern, node: NodeSpec, at: number): Rewriting | undefined {
  const norm = normOf(pattern, node);
  const [normed] = node.outputs;
  if (!norm || normed === undefined) return undefined;
  const reading = pattern.soleReading(normed);
  const gather = paramOf(reading?.node, 'Gather');
  if (!reading || gather?.axis !== 0 || gather.batchDims || reading.input !== 0 || reading.name !== normed)
    return undefined;
  // A product reads rows: so there are rows to gather, and the norm is along another axis.
  const [rows] = reading.node.outputs as [string];
  const product = pattern.soleReading(rows);
  if (product?.name !== rows || productOf(pattern.spec, product.node)?.x !== rows) return undefined;
  const gathered = `${rows}_gathered`;
  if (!pattern.canMove(at, reading.at) || pattern.isDefined(gathered)) return undefined;
  return new Map([
    [node, []],
    [
      reading.node,
      [
        { ...reading.node, inputs: [norm.x, ...reading.node.inputs.slice(1)], outputs: [gathered] },
        { ...node, inputs: node.inputs.with(0, gathered), outputs: [rows] },
      ],
    ],
  ]);
}
