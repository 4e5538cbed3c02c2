import type { NodeSpec } from '../graph-spec.js';
import type { GraphPass } from './pass.js';
import { type Pattern, paramOf, type Rewriting, rewriteMatches } from './pattern.js';

/** ATB chooses groups of experts by scores of 16 bits. The engine's GroupTopk takes them as they are. */
export const exactGroups: GraphPass = {
  name: 'exact-groups',
  summary: 'chooses groups of experts by scores that are not rounded',
  rewrite: (spec) => rewriteMatches(spec, match),
};

/** scores + NEVER * !(GroupTopk(rounded scores) == rounded scores) */
function match(pattern: Pattern, node: NodeSpec): Rewriting | undefined {
  if (paramOf(node, 'Elewise')?.elewiseType !== 'ELEWISE_ADD') return undefined;
  const [scores = '', depth = ''] = node.inputs;
  const lower = soleProducer(pattern, depth);
  const never = paramOf(lower, 'Elewise');
  if (!lower || never?.elewiseType !== 'ELEWISE_MULS') return undefined;
  const widen = soleProducer(pattern, lower.inputs[0]);
  const invert = widen && paramOf(widen, 'Cast') && soleProducer(pattern, widen.inputs[0]);
  if (!invert || paramOf(invert, 'Elewise')?.elewiseType !== 'ELEWISE_LOGICAL_NOT') return undefined;
  const compare = soleProducer(pattern, invert.inputs[0]);
  if (!compare || paramOf(compare, 'Elewise')?.elewiseType !== 'ELEWISE_EQUAL') return undefined;
  const [limited = '', copy = ''] = compare.inputs;
  const [limit, ...others] = pattern.readings(limited).filter((reading) => reading.node !== compare);
  if (!limit || others.length > 0 || !paramOf(limit.node, 'GroupTopk')) return undefined;
  const [round, copied] = [limited, copy].map((name) => pattern.producer(name)?.node);
  const areScores = [round, copied].every(
    (cast) => paramOf(cast, 'Elewise')?.elewiseType === 'ELEWISE_CAST' && cast?.inputs[0] === scores,
  );
  if (!areScores || !round || !copied || !soleProducer(pattern, copy) || pattern.isOutput(limited))
    return undefined;
  const exact = { elewiseType: 'ELEWISE_CAST', outTensorType: 'ACL_FLOAT' } as const;
  const value = [never.mulsParam.varAttr];
  const [dropped = ''] = invert.outputs;
  return new Map<NodeSpec, readonly NodeSpec[]>([
    [round, [{ ...round, op: { type: 'Elewise', param: exact } }]],
    [copied, []],
    [compare, [{ ...compare, inputs: [limited, scores] }]],
    [widen, []],
    [lower, []],
    [node, [{ ...node, op: { type: 'Fill', param: { withMask: true, value } }, inputs: [scores, dropped] }]],
  ]);
}

/** What makes a tensor that one node alone reads. */
const soleProducer = (pattern: Pattern, name = ''): NodeSpec | undefined =>
  pattern.soleReading(name) && pattern.producer(name)?.node;
