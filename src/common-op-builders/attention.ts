import { AtbError } from '../errors.js';
import { type AtbGraph, BaseOperation, dim, type NodeHint } from '../graph/atb-graph.js';
import type { GraphKind } from '../graph/graph-kind.js';
import { CommonOpBuilder } from './manager.js';
import { scaledQueries } from './query-scales.js';
import type { AttentionCache, BuilderTensors, OpBuilder, ParamOf } from './types.js';

type Param = ParamOf<'ATTENTION'>;
type Tensors = BuilderTensors['ATTENTION'];

/** True when a graph is of the kind that a builder is for, or why not. */
export function wantsGraph(readsCache: boolean, hasQueryLens: boolean, found: GraphKind): true | string {
  if (readsCache !== found.readsCache) {
    return `is for graphs that ${readsCache ? 'read' : 'do not read'} the cache, found ${found.name}`;
  }
  if (hasQueryLens === found.hasQueryLens) return true;
  return `is for ${hasQueryLens ? 'several tokens' : 'one token'} of each sequence, found ${found.name}`;
}

/** Adds views of k and v as [tokens, heads, headDim or valueHeadDim], and returns their names. */
function viewKeys(
  graph: AtbGraph,
  { opName, kvHeadNum, headDim, valueHeadDim = headDim }: Param,
  tensors: Tensors,
) {
  const views = { k: `${opName}_k`, v: `${opName}_v` };
  graph.addReshape(tensors.k, views.k, [dim(0), kvHeadNum, headDim]);
  graph.addReshape(tensors.v, views.v, [dim(0), kvHeadNum, valueHeadDim]);
  return views;
}

/** The same of q, multiplied by what each token has for it: behind the cache's write, with which the engine makes queries. */
function viewQueries(graph: AtbGraph, { opName, headNum, headDim }: Param, tensors: Tensors): string {
  const q = scaledQueries(graph, tensors.q, tensors.queryScales, `${opName}_q_scaled`);
  graph.addReshape(q, `${opName}_q`, [dim(0), headNum, headDim]);
  return `${opName}_q`;
}

/** Writes this step's keys and values to the cache. */
function writeCache(
  graph: AtbGraph,
  { opName }: Param,
  { k, v }: { readonly k: string; readonly v: string },
  { key, value, slots }: AttentionCache,
): void {
  const op = new BaseOperation('ReshapeAndCache', {}, `${opName}_reshape_and_cache`);
  graph.addOperation(op, [k, v, key, value, slots], [key, value]);
}

/** The cache of a builder that reads it; `isMatch` has seen to it that there is one. */
function cacheOf({ opName }: Param, { cache }: Tensors): AttentionCache {
  if (cache) return cache;
  throw new AtbError('BUILDER_TENSOR_MISSING', { category: 'ATTENTION', opName, tensor: 'cache' });
}

/** What the mask says, for engines that need no mask tensor. */
const hintOf = ({ windowSize, chunkSize, slopes }: Param, { seen }: Partial<Tensors> = {}): NodeHint => ({
  causal: true,
  ...(windowSize && { windowSize }),
  ...(chunkSize && { chunkSize }),
  ...(slopes && { slopes }),
  ...(seen !== undefined && { seen }),
});

/** What all attention operations are told. */
const common = ({ headNum, kvHeadNum, scale, softcap, hasSinks }: Param) => ({
  headNum,
  kvHeadNum,
  qkScale: scale,
  ...(softcap !== undefined && { softcap }),
  ...(hasSinks && { hasSinks }),
});

/** The last input of attention with sinks. */
function sinksOf({ opName, hasSinks }: Param, { sinks }: Tensors): string[] {
  if (!hasSinks) return [];
  if (sinks !== undefined) return [sinks];
  throw new AtbError('BUILDER_TENSOR_MISSING', { category: 'ATTENTION', opName, tensor: 'sinks' });
}

/** Whether a query sees all keys before it, and with the same weight whatever their distance. */
const seesAllBefore = ({ windowSize, chunkSize, slopes, hasScoreBias = false }: Param): boolean =>
  windowSize === undefined && chunkSize === undefined && slopes === undefined && !hasScoreBias;

/** A mask with slopes is one of each head. */
const maskTypeOf = ({ slopes, hasScoreBias }: Param) =>
  slopes || hasScoreBias ? 'MASK_TYPE_ALIBI' : 'MASK_TYPE_NORM';

function flattenHeads(graph: AtbGraph, heads: string, out: string): void {
  graph.addReshape(heads, out, [dim(0), dim(1, 2)]);
}

/**
 * Packed sequences attend to themselves. Where attention is causal, the mask is the 128 x 128 triangle, or the whole one
 * with a window or chunks or where some see later keys; otherwise there is none without a window, which is one on both
 * sides then, or numbers that are added to scores.
 * Keys and values go to the cache, where there is one.
 */
@CommonOpBuilder()
export class ATBEncoderPagedAttention implements OpBuilder<'ATTENTION'> {
  readonly category = 'ATTENTION';

  isMatch({ kind }: Param): true | string {
    return wantsGraph(false, false, kind);
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const { opName, isCausal } = param;
    const { k, v } = viewKeys(graph, param, tensors);
    if (tensors.cache) writeCache(graph, param, { k, v }, tensors.cache);
    const q = viewQueries(graph, param, tensors);
    const heads = `${opName}_heads`;
    const selfAttention = { calcType: 'PA_ENCODER', ...common(param) } as const;
    if (isCausal || !seesAllBefore(param)) {
      const isTriuMask = seesAllBefore(param) && tensors.seen === undefined ? 1 : 0;
      const masked = { ...selfAttention, maskType: maskTypeOf(param), isTriuMask } as const;
      const op = new BaseOperation('SelfAttention', masked, opName);
      const inputs = [q, k, v, tensors.attentionMask, tensors.seqLen, ...sinksOf(param, tensors)];
      // Engines read the mask of a window on both sides.
      graph.addOperation(op, inputs, [heads], isCausal ? { hint: hintOf(param, tensors) } : {});
    } else {
      const unmasked = { ...selfAttention, maskType: 'MASK_TYPE_UNDEFINED' } as const;
      const op = new BaseOperation('SelfAttention', unmasked, opName);
      graph.addOperation(op, [q, k, v, tensors.seqLen, ...sinksOf(param, tensors)], [heads]);
    }
    flattenHeads(graph, heads, tensors.attentionOut);
  }
}

/**
 * Decode: one token of each sequence against the cache. A window and chunks need a mask [batch, 1, context], slopes
 * [batch, heads, 1, context].
 */
@CommonOpBuilder()
export class ATBDecoderPagedAttention implements OpBuilder<'ATTENTION'> {
  readonly category = 'ATTENTION';

  isMatch({ kind, isCausal }: Param): true | string {
    return isCausal ? wantsGraph(true, false, kind) : 'is for causal attention';
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const { opName } = param;
    const cache = cacheOf(param, tensors);
    writeCache(graph, param, viewKeys(graph, param, tensors), cache);
    const q = viewQueries(graph, param, tensors);
    const heads = `${opName}_heads`;
    const inputs = [q, cache.key, cache.value, cache.blockTables, tensors.seqLen];
    if (seesAllBefore(param)) {
      const op = new BaseOperation(
        'PagedAttention',
        { ...common(param), maskType: 'MASK_TYPE_UNDEFINED' },
        opName,
      );
      graph.addOperation(op, [...inputs, ...sinksOf(param, tensors)], [heads]);
    } else {
      const op = new BaseOperation(
        'PagedAttention',
        { ...common(param), maskType: maskTypeOf(param) },
        opName,
      );
      const masked = [...inputs, tensors.attentionMask, ...sinksOf(param, tensors)];
      graph.addOperation(op, masked, [heads], { hint: hintOf(param) });
    }
    flattenHeads(graph, heads, tensors.attentionOut);
  }
}

/** Several tokens of each sequence against the cache; the mask is square, rows and columns are positions, or has a row for each token. */
@CommonOpBuilder()
export class ATBSplitFusePagedAttention implements OpBuilder<'ATTENTION'> {
  readonly category = 'ATTENTION';

  isMatch({ kind, isCausal, slopes }: Param): true | string {
    if (slopes) return 'is for attention whose heads share a mask';
    return isCausal ? wantsGraph(true, true, kind) : 'is for causal attention';
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const { opName } = param;
    const { seen } = tensors;
    const { key, value, slots, blockTables } = cacheOf(param, tensors);
    writeCache(graph, param, viewKeys(graph, param, tensors), { key, value, slots, blockTables });
    const q = viewQueries(graph, param, tensors);
    const heads = `${opName}_heads`;
    const op = new BaseOperation(
      'PagedAttention',
      { ...common(param), maskType: seen ? 'MASK_TYPE_SPEC' : 'MASK_TYPE_NORM', calcType: 'CALC_TYPE_SPEC' },
      opName,
    );
    const { seqLen, attentionMask, qLen } = tensors;
    const inputs = [q, key, value, blockTables, seqLen, attentionMask, qLen, ...sinksOf(param, tensors)];
    graph.addOperation(op, inputs, [heads], { hint: hintOf(param, tensors) });
    flattenHeads(graph, heads, tensors.attentionOut);
  }
}

/**
 * The same with slopes. ATB takes masks of single heads for one token of each sequence alone, so each token stands as a
 * sequence of its own, whose context ends with it; the mask is [tokens, heads, 1, context].
 */
@CommonOpBuilder()
export class ATBSplitFuseAlibiPagedAttention implements OpBuilder<'ATTENTION'> {
  readonly category = 'ATTENTION';

  isMatch({ kind, isCausal, slopes, hasSinks }: Param): true | string {
    if (!slopes) return 'is for attention with slopes';
    if (hasSinks) return 'is for attention without sinks';
    return isCausal ? wantsGraph(true, true, kind) : 'is for causal attention';
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const { opName } = param;
    const { seqLen, qLen, attentionMask, tokenSequences: tokens } = tensors;
    const cache = cacheOf(param, tensors);
    if (!tokens)
      throw new AtbError('BUILDER_TENSOR_MISSING', {
        category: 'ATTENTION',
        opName,
        tensor: 'tokenSequences',
      });
    writeCache(graph, param, viewKeys(graph, param, tensors), cache);
    const q = viewQueries(graph, param, tensors);
    const heads = `${opName}_heads`;
    const op = new BaseOperation('PagedAttention', { ...common(param), maskType: 'MASK_TYPE_ALIBI' }, opName);
    const inputs = [q, cache.key, cache.value, tokens.blockTables, tokens.seqLen, attentionMask];
    const sequences = { blockTables: cache.blockTables, seqLen, qLen };
    graph.addOperation(op, inputs, [heads], { hint: { ...hintOf(param), sequences } });
    flattenHeads(graph, heads, tensors.attentionOut);
  }
}
