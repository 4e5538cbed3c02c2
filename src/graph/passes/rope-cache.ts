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
  const rotation = rotationOf(pattern, key.source);
  if (!rotation || vOut !== value.source) return undefined;
  const { rope, tables } = rotation;
  const [qIn, kIn] = rope?.inputs ?? [normedRows(pattern, qOut), key.source];
  const [queries] = rope?.outputs ?? [qOut];
  if (qIn === undefined || kIn === undefined || queries === undefined) return undefined;
  const q = rotated(pattern, qIn);
  const k = rotated(pattern, kIn);
  if (!q || !k || q.rows !== qOut || k.rows !== kOut) return undefined;
  const rereading = rope ? new Map() : rereadingOf(pattern, q, at);
  if (!rereading) return undefined;

  // Nobody else may see what is not made any more, nor queries before they are made now.
  const { heads: kvHeadNum, headDim } = key;
  const hidden = [kOut, key.source, vOut, ...(rope || q.norm ? [qOut] : [])];
  if (!hidden.every((name) => pattern.soleReading(name))) return undefined;
  const makesQueries = rope ?? q.norm?.node;
  if (pattern.readings(queries).some((reading) => reading.at < at && reading.node !== makesQueries))
    return undefined;
  const removed = [split, rope, q.norm?.node, k.norm?.node].filter((node) => node !== undefined);
  if (!removed.every((node) => pattern.canMove(pattern.spec.nodes.indexOf(node), at))) return undefined;

  const headNum = queryHeads(split, kvHeadNum, headDim);
  if (headNum === undefined || value.heads !== kvHeadNum || value.headDim !== headDim) return undefined;
  const param: AtbOpParams['QkvRopeCache'] = { headNum, kvHeadNum, headDim, rotaryCoeff: rope ? 2 : 0 };
  const base = { name: (rope ?? write).name, outputs: [queries, kCache, vCache] };
  const inputs = [qkv, kCache, vCache, slots, ...tables];
  const fused = (node: NodeSpec): Rewriting =>
    new Map<NodeSpec, readonly NodeSpec[]>([
      ...removed.map((gone) => [gone, []] as const),
      [write, [node]],
      ...rereading,
    ]);
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

/** What rotates the keys that are written, and its tables; nothing where they are not rotated. */
function rotationOf(
  pattern: Pattern,
  keys: string,
): { readonly rope?: NodeSpec; readonly tables: readonly string[] } | undefined {
  const rope = pattern.producer(keys)?.node;
  const param = paramOf(rope, 'Rope');
  if (!rope || !param) return { tables: [] };
  if (param.rotaryCoeff !== 2 || rope.outputs[1] !== keys) return undefined;
  return { rope, tables: rope.inputs.slice(2, 4) };
}

/** Rows of the split, or those of their heads' norms where nobody else reads them. */
function normedRows(pattern: Pattern, rows: string): string {
  const [normed] = pattern.soleReading(rows)?.node.outputs ?? [];
  const joined = Object.keys(pattern.spec.views).find((name) => pattern.rowsView(name) === normed);
  return joined !== undefined && rotated(pattern, joined) ? joined : rows;
}

/** Those who read queries that were normed and are not rotated, reading the split's own, which are made as normed ones. */
function rereadingOf(
  pattern: Pattern,
  { rows, norm }: Rotated,
  at: number,
): ReadonlyMap<NodeSpec, readonly NodeSpec[]> | undefined {
  if (!norm) return new Map();
  const [heads, normed] = [norm.node.inputs[0], norm.node.outputs[0]] as [string, string];
  const instead = (name: string): string | undefined => {
    if (pattern.root(name) !== normed) return name;
    const view = pattern.headsView(name);
    if (name === normed || (view?.heads === norm.heads && view.headDim === norm.headDim)) return heads;
    return pattern.rowsView(name) === normed ? rows : undefined;
  };
  const readings = pattern.readings(normed);
  const others = readings.map(({ node }) => [node, node.inputs.map(instead)] as const);
  const isReadElsewhere = readings.some((reading) => reading.at < at) || pattern.isOutput(normed);
  if (isReadElsewhere || others.some(([, inputs]) => inputs.includes(undefined))) return undefined;
  return new Map(others.map(([node, inputs]) => [node, [{ ...node, inputs: inputs as string[] }]]));
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
