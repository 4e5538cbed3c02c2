import { AtbError } from '../errors.js';
import { type AtbGraph, BaseOperation, dim } from '../graph/atb-graph.js';
import { wantsGraph } from './attention.js';
import { multiplyHeads } from './head-products.js';
import { CommonOpBuilder } from './manager.js';
import { scaledQueries } from './query-scales.js';
import { tensorOf } from './tensor-of.js';
import type { BuilderTensors, LatentCache, OpBuilder, ParamOf } from './types.js';

type Param = ParamOf<'MLA'>;
type Tensors = BuilderTensors['MLA'];

/** Queries in the space of the latent vectors, and behind them what is rotated: -> [tokens, heads, rank + rotated]. */
export function latentQueries(graph: AtbGraph, param: Param, tensors: Tensors): string {
  const { opName, headNum, qkNopeHeadDim, qkRopeHeadDim } = param;
  const [nope, rope, q] = [`${opName}_q_nope`, `${opName}_q_rope`, `${opName}_q`];
  const scaled = (part: 'qNope' | 'qRope') =>
    scaledQueries(
      graph,
      tensorOf(param, { [part]: tensors[part] }, part),
      tensors.queryScales,
      `${opName}_${part}_scaled`,
    );
  graph.addReshape(scaled('qNope'), nope, [dim(0), headNum, qkNopeHeadDim]);
  if (qkRopeHeadDim > 0) graph.addReshape(scaled('qRope'), rope, [dim(0), headNum, qkRopeHeadDim]);
  const latent = multiplyHeads(graph, `${opName}_absorb`, nope, tensors.keyUp);
  if (qkRopeHeadDim === 0) return latent;
  const concat = new BaseOperation('Concat', { concatDim: 2 }, `${opName}_concat_q`);
  graph.addOperation(concat, [latent, rope], [q]);
  return q;
}

/** Latent vectors, behind which what is rotated is put: -> [tokens, 1, rank + rotated]. */
export function latentKeys(graph: AtbGraph, param: Param, { latent, kRope }: Tensors): string {
  const { opName, kvLoraRank, qkRopeHeadDim } = param;
  const [rows, k] = [`${opName}_k_rows`, `${opName}_k`];
  const still = tensorOf(param, { latent }, 'latent');
  if (qkRopeHeadDim > 0) {
    const concat = new BaseOperation('Concat', { concatDim: 1 }, `${opName}_concat_k`);
    graph.addOperation(concat, [still, tensorOf(param, { kRope }, 'kRope')], [rows]);
  }
  graph.addReshape(qkRopeHeadDim > 0 ? rows : still, k, [dim(0), 1, kvLoraRank + qkRopeHeadDim]);
  return k;
}

/** Both, where attention has keys of its own. */
const latentRows = (graph: AtbGraph, param: Param, tensors: Tensors) => ({
  q: latentQueries(graph, param, tensors),
  k: latentKeys(graph, param, tensors),
});

/** Writes this step's keys [tokens, 1, size] to the cache; values are parts of them. */
export function writeKeys(
  graph: AtbGraph,
  opName: string,
  k: string,
  { key, slots }: Pick<LatentCache, 'key' | 'slots'>,
): void {
  const param = { kvCacheCfg: 'K_CACHE_V_BYPASS' } as const;
  const op = new BaseOperation('ReshapeAndCache', param, `${opName}_reshape_and_cache`);
  graph.addOperation(op, [k, key, slots], [key]);
}

export function cacheOf({ opName }: Param, { cache }: Tensors): LatentCache {
  if (cache) return cache;
  throw new AtbError('BUILDER_TENSOR_MISSING', { category: 'MLA', opName, tensor: 'cache' });
}

/** Attended latent vectors `heads` [tokens, heads, rank] become values, `attentionOut` [tokens, heads * vHeadDim]. */
export function valuesOf(graph: AtbGraph, { opName }: Param, heads: string, tensors: Tensors): void {
  const values = multiplyHeads(graph, `${opName}_values`, heads, tensors.valueUp);
  graph.addReshape(values, tensors.attentionOut, [dim(0), dim(1, 2)]);
}

/** What all attention operations are told: one head of keys, of which values are the first numbers. */
const common = ({ headNum, kvLoraRank, scale }: Param) => ({
  headNum,
  kvHeadNum: 1,
  qkScale: scale,
  mlaVHeadSize: kvLoraRank,
});

/** Why a builder is not for sparse attention; undefined where it may be. */
const wantsAll = ({ keys, hasSinks }: Param): string | undefined => {
  if (keys === 'chosen') return 'wants all keys, found chosen ones';
  return hasSinks ? 'wants no sinks, which attention to chosen keys alone has' : undefined;
};

const CAUSAL = { hint: { causal: true } } as const;

/** Packed sequences attend to themselves; the mask is the 128 x 128 triangle. */
@CommonOpBuilder()
export class ATBEncoderLatentAttention implements OpBuilder<'MLA'> {
  readonly category = 'MLA';

  isMatch(param: Param): true | string {
    return wantsAll(param) ?? wantsGraph(false, false, param.kind);
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const { opName } = param;
    const { q, k } = latentRows(graph, param, tensors);
    if (tensors.cache) writeKeys(graph, opName, k, tensors.cache);
    const heads = `${opName}_latent`;
    const masked = {
      ...common(param),
      calcType: 'PA_ENCODER',
      maskType: 'MASK_TYPE_NORM',
      isTriuMask: 1,
    } as const;
    const op = new BaseOperation('SelfAttention', masked, opName);
    graph.addOperation(op, [q, k, tensors.attentionMask, tensors.seqLen], [heads], CAUSAL);
    valuesOf(graph, param, heads, tensors);
  }
}

/** Decode: one token of each sequence against the cache. */
@CommonOpBuilder()
export class ATBDecoderLatentAttention implements OpBuilder<'MLA'> {
  readonly category = 'MLA';

  isMatch(param: Param): true | string {
    return wantsAll(param) ?? wantsGraph(true, false, param.kind);
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const { opName } = param;
    const cache = cacheOf(param, tensors);
    const { q, k } = latentRows(graph, param, tensors);
    writeKeys(graph, opName, k, cache);
    const heads = `${opName}_latent`;
    const unmasked = { ...common(param), maskType: 'MASK_TYPE_UNDEFINED' } as const;
    const op = new BaseOperation('PagedAttention', unmasked, opName);
    graph.addOperation(op, [q, cache.key, cache.blockTables, tensors.seqLen], [heads]);
    valuesOf(graph, param, heads, tensors);
  }
}

/** Several tokens of each sequence against the cache; the mask has a row for each token. */
@CommonOpBuilder()
export class ATBSplitFuseLatentAttention implements OpBuilder<'MLA'> {
  readonly category = 'MLA';

  isMatch(param: Param): true | string {
    return wantsAll(param) ?? wantsGraph(true, true, param.kind);
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const { opName } = param;
    const cache = cacheOf(param, tensors);
    const { q, k } = latentRows(graph, param, tensors);
    writeKeys(graph, opName, k, cache);
    const heads = `${opName}_latent`;
    const several = { ...common(param), maskType: 'MASK_TYPE_SPEC', calcType: 'CALC_TYPE_SPEC' } as const;
    const op = new BaseOperation('PagedAttention', several, opName);
    const { seqLen, attentionMask, qLen } = tensors;
    const inputs = [q, cache.key, cache.blockTables, seqLen, attentionMask, qLen];
    graph.addOperation(op, inputs, [heads], CAUSAL);
    valuesOf(graph, param, heads, tensors);
  }
}
