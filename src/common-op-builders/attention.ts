import { type AtbGraph, BaseOperation, dim, type NodeHint } from '../graph/atb-graph.js';
import type { GraphKind } from '../graph/graph-kind.js';
import { CommonOpBuilder } from './manager.js';
import type { BuilderTensors, OpBuilder, ParamOf } from './types.js';

type Param = ParamOf<'ATTENTION'>;
type Tensors = BuilderTensors['ATTENTION'];

/** True when a graph is of the kind that a builder is for, or why not. */
function wants(readsCache: boolean, hasQueryLens: boolean, found: GraphKind): true | string {
  if (readsCache !== found.readsCache) {
    return `is for graphs that ${readsCache ? 'read' : 'do not read'} the cache, found ${found.name}`;
  }
  if (hasQueryLens === found.hasQueryLens) return true;
  return `is for ${hasQueryLens ? 'several tokens' : 'one token'} of each sequence, found ${found.name}`;
}

/** Writes this step's keys and values to the cache. Returns the names of q, k and v seen as [tokens, heads, headDim]. */
function cacheKeys(graph: AtbGraph, { opName, headNum, kvHeadNum, headDim }: Param, tensors: Tensors) {
  const views = { q: `${opName}_q`, k: `${opName}_k`, v: `${opName}_v` };
  graph.addReshape(tensors.k, views.k, [dim(0), kvHeadNum, headDim]);
  graph.addReshape(tensors.v, views.v, [dim(0), kvHeadNum, headDim]);
  graph.addReshape(tensors.q, views.q, [dim(0), headNum, headDim]);
  graph.addOperation(
    new BaseOperation('ReshapeAndCache', {}, `${opName}_reshape_and_cache`),
    [views.k, views.v, tensors.kCache, tensors.vCache, tensors.slots],
    [tensors.kCache, tensors.vCache],
  );
  return views;
}

/** What the mask says, for engines that need no mask tensor. */
const hintOf = ({ windowSize }: Param): NodeHint => ({ causal: true, ...(windowSize && { windowSize }) });

/** What all attention operations are told. */
const common = ({ headNum, kvHeadNum, scale }: Param) => ({ headNum, kvHeadNum, qkScale: scale });

function flattenHeads(graph: AtbGraph, heads: string, out: string): void {
  graph.addReshape(heads, out, [dim(0), dim(1, 2)]);
}

/** Prefill: packed prompts attend to themselves; the mask is the 128 x 128 triangle, or the whole one with a window. */
@CommonOpBuilder()
export class ATBEncoderPagedAttention implements OpBuilder<'ATTENTION'> {
  readonly category = 'ATTENTION';

  isMatch({ kind }: Param): true | string {
    return wants(false, false, kind);
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const { opName, windowSize } = param;
    const { q, k, v } = cacheKeys(graph, param, tensors);
    const op = new BaseOperation(
      'SelfAttention',
      {
        calcType: 'PA_ENCODER',
        ...common(param),
        maskType: 'MASK_TYPE_NORM',
        isTriuMask: windowSize === undefined ? 1 : 0,
      },
      opName,
    );
    const heads = `${opName}_heads`;
    graph.addOperation(op, [q, k, v, tensors.attentionMask, tensors.seqLen], [heads], {
      hint: hintOf(param),
    });
    flattenHeads(graph, heads, tensors.attentionOut);
  }
}

/** Decode: one token of each sequence against the cache. A window needs a mask [batch, 1, context]. */
@CommonOpBuilder()
export class ATBDecoderPagedAttention implements OpBuilder<'ATTENTION'> {
  readonly category = 'ATTENTION';

  isMatch({ kind }: Param): true | string {
    return wants(true, false, kind);
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const { opName, windowSize } = param;
    const { q } = cacheKeys(graph, param, tensors);
    const heads = `${opName}_heads`;
    const inputs = [q, tensors.kCache, tensors.vCache, tensors.blockTables, tensors.seqLen];
    if (windowSize === undefined) {
      const op = new BaseOperation(
        'PagedAttention',
        { ...common(param), maskType: 'MASK_TYPE_UNDEFINED' },
        opName,
      );
      graph.addOperation(op, inputs, [heads]);
    } else {
      const op = new BaseOperation(
        'PagedAttention',
        { ...common(param), maskType: 'MASK_TYPE_NORM' },
        opName,
      );
      graph.addOperation(op, [...inputs, tensors.attentionMask], [heads], { hint: hintOf(param) });
    }
    flattenHeads(graph, heads, tensors.attentionOut);
  }
}

/** Several tokens of each sequence against the cache; the mask is square, rows and columns are positions. */
@CommonOpBuilder()
export class ATBSplitFusePagedAttention implements OpBuilder<'ATTENTION'> {
  readonly category = 'ATTENTION';

  isMatch({ kind }: Param): true | string {
    return wants(true, true, kind);
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const { opName } = param;
    const { q } = cacheKeys(graph, param, tensors);
    const heads = `${opName}_heads`;
    const op = new BaseOperation(
      'PagedAttention',
      { ...common(param), maskType: 'MASK_TYPE_NORM', calcType: 'CALC_TYPE_SPEC' },
      opName,
    );
    const { kCache, vCache, blockTables, seqLen, attentionMask, qLen } = tensors;
    const inputs = [q, kCache, vCache, blockTables, seqLen, attentionMask, qLen];
    graph.addOperation(op, inputs, [heads], { hint: hintOf(param) });
    flattenHeads(graph, heads, tensors.attentionOut);
  }
}
