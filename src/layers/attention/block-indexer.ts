import { CommonOpBuilderManager, writeKeys } from '../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { RopeConfig } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import { type CacheRef, keyRows } from '../cache-ref.js';
import { addSplit } from '../formulas/split.js';
import { buildLinear } from '../linear/linear-steps.js';
import { projectionsOf } from '../linear/projections.js';
import { Module } from '../module.js';
import { HeadNorm, OffsetRMSNorm } from '../norms/norms.js';
import { ROTARY_ROWS } from './rotary-rows.js';

/** What an indexer of blocks is told by the configuration. */
export interface BlockIndexerConfig {
  readonly hiddenSize: number;
  /** Each head of keys has a head of the indexer, whose queries and keys are as long as those of attention. */
  readonly numKeyValueHeads: number;
  readonly headDim: number;
  readonly rope: RopeConfig;
  readonly rmsNormEps: number;
  /** Positions of a block. */
  readonly indexBlockSize: number;
  /** How many blocks a head of keys is read from, those that are read in any case among them. */
  readonly indexTopBlocks: number;
  /** The last blocks up to a query's own, which are read in any case. */
  readonly indexLocalBlocks: number;
}

/** What a layer's graph calls the blocks that its queries attend to. */
export const CHOSEN_BLOCKS = 'chosen_blocks';

/** A norm that multiplies by 1 + weight; attention beside the indexer has norms of the same names. */
class IndexNorm extends OffsetRMSNorm {
  constructor(weights: Weights, size: number, epsilon: number, rowOrder?: Int32Array) {
    super(weights, size, epsilon, rowOrder, `index_${weights.name}`);
  }
}

/**
 * Chooses for each head of keys the blocks of positions that a query attends to (MiniMax-M3, transformers 5.24): those
 * with the keys that answer it best. It has queries of its own, and a key of each token in a cache of its own, written
 * like others.
 */
export class BlockIndexer extends Module {
  readonly projections: Linear;
  readonly qNorm: HeadNorm;
  readonly kNorm: HeadNorm;
  private readonly cache: CacheRef;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(
    layerId: number,
    private readonly config: BlockIndexerConfig,
    weights: Weights,
  ) {
    super();
    const { hiddenSize, numKeyValueHeads: heads, headDim, rope, rmsNormEps } = config;
    const sizes = { numAttentionHeads: heads, numKeyValueHeads: 1, headDim, rope };
    const [q, k] = projectionsOf(sizes, { q: 'q_proj', k: 'k_proj', v: 'v_proj' }, false);
    this.projections = Linear.load(weights, {
      name: 'query_key',
      parts: [q, k],
      inFeatures: hiddenSize,
      hasBias: false,
    });
    const norm = (name: string, count: number) =>
      new HeadNorm(weights.at(name), { heads: count, headDim, rope }, rmsNormEps, IndexNorm);
    this.qNorm = norm('q_norm', heads);
    this.kNorm = norm('k_norm', 1);
    this.cache = keyRows(layerId, 'index_cache', headDim);
  }

  override caches(): CacheRef[] {
    return [this.cache];
  }

  /**
   * `input` [tokens, hidden] -> `chosen_blocks` i32 [tokens, kv heads * indexTopBlocks]: of each head numbers of blocks
   * in ascending order, and -1 behind them where there are fewer.
   */
  buildGraph(graph: AtbGraph, input: string): string {
    const { numKeyValueHeads: headNum, headDim, indexTopBlocks: topK } = this.config;
    const { indexBlockSize: blockSize, indexLocalBlocks: localBlocks } = this.config;
    addSplit(graph, 'index_split', buildLinear(graph, this.projections, input, 'index_qk_out'), [
      ['index_q', headNum * headDim],
      ['index_k', headDim],
    ]);
    CommonOpBuilderManager.getBuilder({ category: 'ROPE', opName: 'index_rope', rotaryCoeff: 2 }).build(
      graph,
      {
        q: this.qNorm.buildGraph(graph, 'index_q'),
        k: this.kNorm.buildGraph(graph, 'index_k'),
        cosEmbedding: ROTARY_ROWS.cos,
        sinEmbedding: ROTARY_ROWS.sin,
        seqLen: 'seq_len',
        qOut: 'index_q_rope',
        kOut: 'index_k_rope',
      },
    );
    graph.addReshape('index_k_rope', 'index_k_rows', [dim(0), 1, headDim]);
    const { key } = this.cache;
    writeKeys(graph, 'index', 'index_k_rows', { key, slots: 'slots_mapping' });
    graph.addOperation(
      new BaseOperation('LightningIndexer', { headNum, topK, blockSize, localBlocks }, 'indexer'),
      ['index_q_rope', key, 'block_tables', 'seq_len', 'q_len'],
      [CHOSEN_BLOCKS],
    );
    return CHOSEN_BLOCKS;
  }
}
