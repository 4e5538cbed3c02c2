import type { NodeSpec } from '../graph-spec.js';
import type { GraphPass } from './pass.js';
import { type Pattern, paramOf, type Rewriting, rewriteMatches } from './pattern.js';

/** ATB chooses groups of experts by scores of 16 bits. The engine's GroupTopk takes them as they are. */
export const exactGroups: GraphPass = {
  name: 'exact-groups',
  summary: 'chooses groups of experts by scores that are not rounded',
  rewrite: (spec) => rewriteMatches(spec, match),
};

/** scores * (GroupTopk(rounded scores) == rounded scores) */
function match(pattern: Pattern, node: NodeSpec, at: number): Rewriting | undefined {
  if (paramOf(node, 'Elewise')?.elewiseType !== 'ELEWISE_MUL') return undefined;
  const [scores = '', mask = ''] = node.inputs;
  const widen = pattern.producer(mask);
  const [kept = ''] = paramOf(widen?.node, 'Cast') ? (widen?.node.inputs ?? []) : [];
  const compare = pattern.producer(kept)?.node;
  if (!widen || !compare || paramOf(compare, 'Elewise')?.elewiseType !== 'ELEWISE_EQUAL') return undefined;
  const [limited = '', copy = ''] = compare.inputs;
  const [limit, ...others] = pattern.readings(limited).filter((reading) => reading.node !== compare);
  if (!limit || others.length > 0 || !paramOf(limit.node, 'GroupTopk') || limit.at > widen.at)
    return undefined;
  const rounded = [limited, copy].map((name) => pattern.producer(name)?.node);
  const areScores = rounded.every(
    (cast) => paramOf(cast, 'Elewise')?.elewiseType === 'ELEWISE_CAST' && cast?.inputs[0] === scores,
  );
  const [result = ''] = node.outputs;
  const reader = pattern.soleReading(result);
  // GroupTopk writes into the scores, so nobody else may want them.
  const areFree = pattern.readings(scores).length === 3 && !pattern.isOutput(scores);
  const areRead = [mask, kept, copy].every((name) => pattern.soleReading(name));
  if (!areScores || !areFree || !areRead || reader?.name !== result) return undefined;
  if (pattern.isOutput(limited) || !pattern.canMove(limit.at, at)) return undefined;
  const [, indices = ''] = limit.node.inputs;
  const exact: NodeSpec = { ...limit.node, inputs: [scores, indices], outputs: [scores] };
  const inputs = reader.node.inputs.map((name) => (name === result ? scores : name));
  const gone = [...rounded.flatMap((cast) => cast ?? []), limit.node, compare, widen.node];
  return new Map<NodeSpec, readonly NodeSpec[]>([
    ...gone.map((each) => [each, []] as const),
    [node, [exact]],
    [reader.node, [{ ...reader.node, inputs }]],
  ]);
}
