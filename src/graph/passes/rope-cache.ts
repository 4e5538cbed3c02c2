import type { NodeSpec } from '../graph-spec.js';
import type { AtbOpParams } from '../ops/index.js';
import { normOf } from './norm-linear.js';
import type { GraphPass } from './pass.js';
import { type Pattern, paramOf, type Rewriting, rewriteMatches } from './pattern.js';

/**
 * Split of q, k and v, norm of their heads, rotation and cache write in one operation. Attention must read the cache,
 * so in prefill it needs the pass `attention-from-cache`.
 */
export const ropeCache: GraphPass = {
  name: 'rope-cache',
  summary: 'splits, normalises and rotates q and k, and writes the cache, in one operation',
  rewrite: (spec) => rewriteMatches(spec, match),
};

/** What Rope rotates: rows of the split themselves, or their heads' norms. */
interface Rotated {
  readonly rows: string;
  readonly norm?: {
    readonly node: NodeSpec;
    readonly gamma: string;
    readonly epsilon: number;
    readonly heads: number;
    readonly headDim: number;
  };
}

function match(pattern: Pattern, write: NodeSpec, at: number): Rewriting | undefined {
  if (!paramOf(write, 'ReshapeAndCache')) return undefined;
  const [keyHeads, valueHeads, kCache, vCache, slots] = write.inputs as [
    string,
    string,
    string,
    string,
    string,
  ];
  const key = pattern.headsView(keyHeads);
  const value = pattern.headsView(valueHeads);
  const rope = key && pattern.producer(key.source);
  const split = value && pattern.producer(value.source);
  if (!key || !value || !rope || !split) return undefined;
  const [qkv] = split.node.inputs as [string];
  const [qOut, kOut, vOut] = split.node.outputs as [string, string, string?];
  const [qRope, kRope] = rope.node.outputs as [string, string];
  if (paramOf(rope.node, 'Rope')?.rotaryCoeff !== 2 || kRope !== key.source || vOut !== value.source)
    return undefined;
  const [qIn, kIn, cos, sin] = rope.node.inputs as [string, string, string, string];
  const q = rotated(pattern, qIn);
  const k = rotated(pattern, kIn);
  if (!q || !k || q.rows !== qOut || k.rows !== kOut) return undefined;

  // Nobody else may see what is not made any more, nor queries before they are made now.
  const { heads: kvHeadNum, headDim } = key;
  const isHidden = [qOut, kOut, kRope, vOut].every((name) => pattern.soleReading(name));
  if (!isHidden || pattern.readings(qRope).some((reading) => reading.at < at)) return undefined;
  const removed: NodeSpec[] = [split.node, rope.node];
  for (const { norm } of [q, k]) if (norm) removed.push(norm.node);
  if (!removed.every((node) => pattern.canMove(pattern.spec.nodes.indexOf(node), at))) return undefined;

  const headNum = queryHeads(split.node, kvHeadNum, headDim);
  if (headNum === undefined || value.heads !== kvHeadNum || value.headDim !== headDim) return undefined;
  const param: AtbOpParams['QkvRopeCache'] = { headNum, kvHeadNum, headDim, rotaryCoeff: 2 };
  const base = { name: rope.node.name, outputs: [qRope, kCache, vCache] };
  const inputs = [qkv, cos, sin, kCache, vCache, slots];
  const fused = (node: NodeSpec): Rewriting =>
    new Map<NodeSpec, readonly NodeSpec[]>([...removed.map((gone) => [gone, []] as const), [write, [node]]]);
  if (!q.norm && !k.norm) return fused({ ...base, op: { type: 'QkvRopeCache', param }, inputs });
  if (!q.norm || !k.norm || q.norm.epsilon !== k.norm.epsilon) return undefined;
  if (q.norm.heads !== headNum || k.norm.heads !== kvHeadNum) return undefined;
  if (q.norm.headDim !== headDim || k.norm.headDim !== headDim) return undefined;
  return fused({
    ...base,
    op: { type: 'QkvRopeCache', param: { ...param, normEpsilon: q.norm.epsilon } },
    inputs: [...inputs, q.norm.gamma, k.norm.gamma],
  });
}

function rotated(pattern: Pattern, name: string): Rotated | undefined {
  const normed = pattern.rowsView(name);
  if (normed === undefined) return { rows: name };
  const node = pattern.producer(normed)?.node;
  const { x, norm } = normOf(pattern, node) ?? {};
  const heads = x === undefined ? undefined : pattern.headsView(x);
  if (!node || norm?.type !== 'rms' || !heads || !pattern.soleReading(normed)) return undefined;
  const { gamma, epsilon } = norm;
  return { rows: heads.source, norm: { node, gamma, epsilon, ...heads } };
}

/** Query heads, where a split cuts rows into queries, keys and values. */
function queryHeads(split: NodeSpec, kvHeadNum: number, headDim: number): number | undefined {
  const param = paramOf(split, 'Split');
  if (param?.splitNum !== 3 || ![1, -1].includes(param.splitDim)) return undefined;
  const { splitSizes } = param;
  if (splitSizes === undefined || splitSizes.length === 0) return kvHeadNum;
  const [queries = 0, keys, values] = splitSizes;
  const rows = kvHeadNum * headDim;
  return keys === rows && values === rows && queries % headDim === 0 ? queries / headDim : undefined;
}
