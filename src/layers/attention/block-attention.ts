import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import type { Weights } from '../../weights/weights.js';
import type { AttentionConfig } from '../attention-config.js';
import { type CacheRef, layerCache } from '../cache-ref.js';
import { NormedRotaryAttention, type ProjectionNorms } from './attention-orders.js';
import type { Qkv } from './base-attention.js';
import { BlockIndexer, type BlockIndexerConfig, CHOSEN_BLOCKS } from './block-indexer.js';

/** Attention whose heads of keys are read from some blocks of positions alone, which an indexer chooses for each head. */
export class BlockAttention extends NormedRotaryAttention {
  readonly indexer: BlockIndexer;
  private readonly blocks: BlockIndexerConfig & AttentionConfig;
  private readonly own: CacheRef & { readonly value: string };

  /** Throws what `BaseAttention` and `BlockIndexer` throw. */
  constructor(
    layerId: number,
    config: BlockIndexerConfig & AttentionConfig,
    weights: Weights,
    norms: ProjectionNorms,
  ) {
    super(layerId, config, weights, norms);
    const { numKeyValueHeads: heads, headDim } = config;
    this.blocks = config;
    this.own = layerCache(layerId, { heads, keySize: headDim, valueSize: headDim });
    this.indexer = new BlockIndexer(layerId, config, weights.at('indexer'));
  }

  override caches(): CacheRef[] {
    return [this.own, ...this.indexer.caches()];
  }

  override buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    this.indexer.buildGraph(graph, input);
    return super.buildGraph(graph, kind, input);
  }

  /** All keys are read from the cache, in graphs of all kinds; those of the step are written before. */
  override buildAttentionGraph(graph: AtbGraph, _kind: GraphKind, { q, k, v }: Qkv): string {
    const { numAttentionHeads: headNum, numKeyValueHeads: kvHeadNum, headDim, indexBlockSize } = this.blocks;
    const { key, value } = this.own;
    graph.addReshape(k, 'attention_k', [dim(0), kvHeadNum, headDim]);
    graph.addReshape(v, 'attention_v', [dim(0), kvHeadNum, headDim]);
    graph.addOperation(
      new BaseOperation('ReshapeAndCache', {}, 'attention_reshape_and_cache'),
      ['attention_k', 'attention_v', key, value, 'slots_mapping'],
      [key, value],
    );
    graph.addReshape(q, 'attention_q', [dim(0), headNum, headDim]);
    const param = { headNum, kvHeadNum, qkScale: 1 / Math.sqrt(headDim), blockSize: indexBlockSize };
    const inputs = ['attention_q', key, value, 'block_tables', 'seq_len', 'q_len', CHOSEN_BLOCKS];
    graph.addOperation(new BaseOperation('BlockAttention', param, 'attention'), inputs, ['attention_heads']);
    graph.addReshape('attention_heads', 'attn_out', [dim(0), dim(1, 2)]);
    return 'attn_out';
  }
}
