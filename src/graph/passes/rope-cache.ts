import type { NodeSpec } from '../graph-spec.js';
import type { AtbOpParams } from '../ops/index.js';
import { normOf } from './norm-linear.js';
import type { GraphPass } from './pass.js';
import { type Pattern, paramOf, type Rewriting, rewriteMatches } from './pattern.js';

/**
 * Split of q, k and v, norm of their heads, rotation and cache write in one operation; layers without rotation have the
 * others. Attention must read the cache, so in prefill it needs the pass `attention-from-cache`.
 */
export const ropeCache: GraphPass = {
  name: 'rope-cache',
  summary: 'splits, normalises and rotates q and k, and writes the cache, in one operation',
  rewrite: (spec) => rewriteMatches(spec, match),
};

/** What Rope rotates, or what is written as it is: rows of the split themselves, or their heads' norms. */
interface Rotated {
  readonly rows: string;
  readonly norm?: {
    readonly node: NodeSpec;
    readonly type: 'rms' | 'rms-plus-one';
    readonly gamma: string;
    readonly epsilon: number;
    readonly heads: number;
    readonly headDim: number;
  };
}

function match(pattern: Pattern, write: NodeSpec, at: number): Rewriting | undefined {
  if (!paramOf(write, 'ReshapeAndCache') || write.outputs.length !== 2) return undefined;
  const [keyHeads, valueHeads, kCache, vCache, slots] = write.inputs as [
    string,
    string,
    string,
    string,
    string,
  ];
  const key = pattern.headsView(keyHeads);
  const value = pattern.headsView(valueHeads);
  const split = value && pattern.producer(value.source)?.node;
  if (!key || !value || !split) return undefined;
  const [qkv] = split.inputs as [string];
  const [qOut, kOut, vOut] = split.outputs as [string, string, string?];
  const rotation = rotationOf(pattern, key.source, kOut);
  if (!rotation || vOut !== value.source) return undefined;
  const { rope, tables } = rotation;
  const [qIn, kIn] = rope?.inputs ?? [qOut, kOut];
  const [queries] = rope?.outputs ?? [qOut];
  if (qIn === undefined || kIn === undefined || queries === undefined) return undefined;
  const q = rotated(pattern, qIn);
  const k = rotated(pattern, kIn);
  if (!q || !k || q.rows !== qOut || k.rows !== kOut) return undefined;

  // Nobody else may see what is not made any more, nor queries before they are made now.
  const { heads: kvHeadNum, headDim } = key;
  const hidden = [kOut, key.source, vOut, ...(rope ? [qOut] : [])];
  if (!hidden.every((name) => pattern.soleReading(name))) return undefined;
  if (pattern.readings(queries).some((reading) => reading.at < at && reading.node !== rope)) return undefined;
  const removed = [split, rope, q.norm?.node, k.norm?.node].filter((node) => node !== undefined);
  if (!removed.every((node) => pattern.canMove(pattern.spec.nodes.indexOf(node), at))) return undefined;

  const headNum = queryHeads(split, kvHeadNum, headDim);
  if (headNum === undefined || value.heads !== kvHeadNum || value.headDim !== headDim) return undefined;
  const param: AtbOpParams['QkvRopeCache'] = { headNum, kvHeadNum, headDim, rotaryCoeff: rope ? 2 : 0 };
  const base = { name: (rope ?? write).name, outputs: [queries, kCache, vCache] };
  const inputs = [qkv, kCache, vCache, slots, ...tables];
  const fused = (node: NodeSpec): Rewriting =>
    new Map<NodeSpec, readonly NodeSpec[]>([...removed.map((gone) => [gone, []] as const), [write, [node]]]);
  if (!q.norm && !k.norm) return fused({ ...base, op: { type: 'QkvRopeCache', param }, inputs });
  if (!q.norm || !k.norm || q.norm.epsilon !== k.norm.epsilon || q.norm.type !== k.norm.type)
    return undefined;
  if (q.norm.heads !== headNum || k.norm.heads !== kvHeadNum) return undefined;
  if (q.norm.headDim !== headDim || k.norm.headDim !== headDim) return undefined;
  const { epsilon: normEpsilon, type: normType } = q.norm;
  const normed = { ...param, normEpsilon, ...(normType !== 'rms' && { normType }) };
  return fused({
    ...base,
    op: { type: 'QkvRopeCache', param: normed },
    inputs: [...inputs, q.norm.gamma, k.norm.gamma],
  });
}

/** What rotates the keys that are written, and its tables; nothing where they are those of the split. */
function rotationOf(
  pattern: Pattern,
  keys: string,
  split: string,
): { readonly rope?: NodeSpec; readonly tables: readonly string[] } | undefined {
  if (keys === split) return { tables: [] };
  const rope = pattern.producer(keys)?.node;
  if (!rope || paramOf(rope, 'Rope')?.rotaryCoeff !== 2 || rope.outputs[1] !== keys) return undefined;
  return { rope, tables: rope.inputs.slice(2, 4) };
}

function rotated(pattern: Pattern, name: string): Rotated | undefined {
  const normed = pattern.rowsView(name);
  if (normed === undefined) return { rows: name };
  const node = pattern.producer(normed)?.node;
  const { x, norm } = normOf(pattern, node) ?? {};
  const heads = x === undefined ? undefined : pattern.headsView(x);
  if (!node || !norm || norm.type === 'layer' || !heads || !pattern.soleReading(normed)) return undefined;
  const { type, gamma, epsilon } = norm;
  return { rows: heads.source, norm: { node, type, gamma, epsilon, ...heads } };
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
