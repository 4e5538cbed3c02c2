import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';
import { cacheOf, latentKeys, latentQueries, valuesOf, writeKeys } from './latent-attention.js';
import { CommonOpBuilder } from './manager.js';
import { tensorOf } from './tensor-of.js';
import type { BuilderTensors, OpBuilder, ParamOf } from './types.js';

/** Our extension LightningIndexer, which reads the keys of the step in the cache, too. */
@CommonOpBuilder()
export class LightningIndexer implements OpBuilder<'INDEXER'> {
  readonly category = 'INDEXER';

  isMatch(): true {
    return true;
  }

  build(graph: AtbGraph, param: ParamOf<'INDEXER'>, tensors: BuilderTensors['INDEXER']): void {
    const { opName, headNum, topK } = param;
    const { q, weights, k, cache, seqLen, qLen, chosenOut } = tensors;
    writeKeys(graph, opName, k, cache);
    const op = new BaseOperation('LightningIndexer', { headNum, topK }, opName);
    graph.addOperation(op, [q, weights, cache.key, cache.blockTables, seqLen, qLen], [chosenOut]);
  }
}

/**
 * Our extension SparseAttention. It is one operation in graphs of all kinds: where few keys are read, all lie in the
 * cache.
 */
@CommonOpBuilder()
export class SparseLatentAttention implements OpBuilder<'MLA'> {
  readonly category = 'MLA';

  isMatch({ kind, keys }: ParamOf<'MLA'>): true | string {
    if (keys !== 'chosen') return `wants chosen keys, found ${keys}`;
    return kind.fillsCache || `is for graphs that fill the cache, found ${kind.name}`;
  }

  build(graph: AtbGraph, param: ParamOf<'MLA'>, tensors: BuilderTensors['MLA']): void {
    const { opName, headNum, kvLoraRank, scale, hasSinks } = param;
    const cache = cacheOf(param, tensors);
    const q = latentQueries(graph, param, tensors);
    if (tensors.latent !== undefined) writeKeys(graph, opName, latentKeys(graph, param, tensors), cache);
    const heads = `${opName}_latent`;
    const sizes = { headNum, qkScale: scale, mlaVHeadSize: kvLoraRank, ...(hasSinks && { hasSinks }) };
    const inputs = [cache.key, cache.blockTables, tensors.seqLen, tensors.qLen];
    const chosen = tensorOf(param, { chosen: tensors.chosen }, 'chosen');
    const sinks = hasSinks ? [tensorOf(param, { sinks: tensors.sinks }, 'sinks')] : [];
    const op = new BaseOperation('SparseAttention', sizes, opName);
    graph.addOperation(op, [q, ...inputs, chosen, ...sinks], [heads]);
    valuesOf(graph, param, heads, tensors);
  }
}
