import type { FloatDType } from '../../dtype.js';
import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import { BLOCK_TOKENS } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import { inF32 } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { type CacheRef, keyRows } from '../cache-ref.js';
import { buildLinear, buildWideLinear } from '../linear/linear-steps.js';
import { Module } from '../module.js';
import { Compressor } from './compressor.js';
import { CHOSEN_KEYS } from './indexer.js';
import type { RotaryRows } from './rotary-rows.js';
import { addTurnedTails, type TailedHeads, tailOrder } from './turned-tails.js';

/** What an indexer of entries is told by the configuration. */
export interface EntryIndexerConfig {
  readonly hiddenSize: number;
  readonly qLoraRank: number;
  readonly rmsNormEps: number;
  readonly indexHeads: number;
  readonly indexHeadDim: number;
  /** How many entries a query of attention attends to. */
  readonly indexTopK: number;
}

/**
 * Chooses the entries that each query of attention attends to. It has entries of its own, smaller ones, in a cache of their
 * own. Scores are multiplied by nothing: positive factors, the same for all heads, change no choice.
 */
export class EntryIndexer extends Module {
  readonly queries: Linear;
  readonly compressor: Compressor;
  readonly cache: CacheRef;
  private readonly headWeights: TensorRef;
  private readonly heads: TailedHeads;
  private readonly dtype: FloatDType;

  /** `turned`: numbers of a head that turn. Throws what `Compressor` throws. */
  constructor(
    layerId: number,
    private readonly config: EntryIndexerConfig,
    weights: Weights,
    turned: number,
    private readonly tokensPerEntry: number,
  ) {
    super();
    const { hiddenSize, qLoraRank, indexHeads, indexHeadDim: size, rmsNormEps } = config;
    this.heads = { size, turned };
    const rowOrder = tailOrder(indexHeads, this.heads);
    const part = { name: 'wq_b', outFeatures: indexHeads * size, rowOrder, hasBias: false };
    this.queries = Linear.load(weights, { parts: [part], inFeatures: qLoraRank });
    const sizes = { ...this.heads, hiddenSize, rmsNormEps, tokensPerEntry, overlaps: true };
    this.compressor = new Compressor(layerId, weights.at('compressor'), sizes, 'index_entry');
    this.headWeights = inF32(weights.get('weights_proj.weight', [indexHeads, hiddenSize]));
    this.cache = keyRows(layerId, 'index_cache', size, tokensPerEntry);
    this.dtype = weights.dtype ?? 'bf16';
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.headWeights];
  }

  override caches(): CacheRef[] {
    return [this.cache];
  }

  /**
   * `queries` [tokens, qLoraRank], and the entries of `compressor`, which are in the cache by now -> `chosen_keys` i32
   * [tokens, indexTopK]: numbers of entries in ascending order, and -1 behind them where there are fewer.
   */
  buildGraph(graph: AtbGraph, input: string, queries: string, rows: RotaryRows): string {
    const { indexHeads: headNum, indexTopK: topK } = this.config;
    const wide = { name: 'index_weights', weight: this.headWeights, dtype: this.dtype };
    const weights = buildWideLinear(graph, wide, input, 'index_weights_out');
    const projected = buildLinear(graph, this.queries, queries, 'index_q_out');
    graph.addReshape(projected, 'index_q', [dim(0), headNum, this.heads.size]);
    const [q = ''] = addTurnedTails(graph, [['index_q', headNum]], this.heads, rows);
    const op = new BaseOperation(
      'LightningIndexer',
      { headNum, topK, tokensPerKey: this.tokensPerEntry },
      'indexer',
    );
    const inputs = [q, weights, this.cache.key, 'block_tables', 'seq_len', 'q_len', BLOCK_TOKENS];
    graph.addOperation(op, inputs, [CHOSEN_KEYS]);
    return CHOSEN_KEYS;
  }
}
