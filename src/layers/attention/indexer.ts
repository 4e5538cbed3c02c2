import { CommonOpBuilderManager } from '../../common-op-builders/index.js';
import type { FloatDType } from '../../dtype.js';
import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { RopeConfig } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import { inF32 } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { type CacheRef, keyRows } from '../cache-ref.js';
import { addSplit } from '../formulas/split.js';
import { buildLinear, buildWideLinear } from '../linear/linear-steps.js';
import { rotaryOrder } from '../linear/projections.js';
import { Module } from '../module.js';
import { BaseLayerNorm } from '../norms/norms.js';
import { ROTARY_ROWS } from './rotary-rows.js';

/** What an indexer is told by the configuration. */
export interface IndexerConfig {
  readonly hiddenSize: number;
  /** Numbers of the vector that queries are made of. */
  readonly qLoraRank: number;
  /** Of the indexer's own queries, which meet one key of each token. */
  readonly indexHeads: number;
  /** Of a head and of a key, of which the first `headDim` numbers turn, or the last ones. */
  readonly indexHeadDim: number;
  readonly indexTurnsLast?: boolean;
  /** Whether any of them turn; true when absent. */
  readonly indexTurns?: boolean;
  /** Of the norm of keys; 1e-6 when absent. */
  readonly indexNormEps?: number;
  readonly headDim: number;
  /** How many keys a query of attention attends to. */
  readonly indexTopK: number;
  /** The rotary embedding of attention, where anything turns; `indexInterleaved` says how its numbers lie here. */
  readonly rope?: RopeConfig | undefined;
  readonly indexInterleaved?: boolean;
  /** Tokens that a key stands for; 1 when absent. */
  readonly tokensPerKey?: number;
}

/** What scores are made of, by the names in the graph. */
export interface ScoredParts {
  /** Queries [tokens, heads, indexHeadDim], and their weights f32 [tokens, heads]. */
  readonly q: string;
  readonly weights: string;
  /** A key of each token [tokens, 1, indexHeadDim], which is not in the cache yet. */
  readonly k: string;
}

/** Of the norm of keys where a family does not say it (transformers 5.24, DeepseekV32Indexer). */
const EPSILON = 1e-6;

/** What a layer's graph calls the positions that its queries attend to. */
export const CHOSEN_KEYS = 'chosen_keys';

/**
 * Chooses the keys that each query of attention attends to (DeepSeek Sparse Attention, arXiv:2512.02556, section
 * 2.1). It has a small key of each token in a cache of its own, written like others. Scores are multiplied by
 * nothing: positive factors that the published code has, the same for all heads, change no choice.
 */
export class Indexer extends Module {
  readonly queries: Linear;
  readonly keys: Linear;
  readonly keyNorm: BaseLayerNorm;
  readonly headWeights: TensorRef;
  protected readonly cache: CacheRef;
  private readonly dtype: FloatDType;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(
    layerId: number,
    protected readonly config: IndexerConfig,
    weights: Weights,
  ) {
    super();
    const { hiddenSize, qLoraRank, indexHeads: heads, indexHeadDim: size } = config;
    const { indexNormEps = EPSILON } = config;
    const part = (name: string, count: number) => ({
      name,
      outFeatures: count * size,
      rowOrder: splitHeads(count, config),
      hasBias: false,
    });
    this.queries = Linear.load(weights, { parts: [part('wq_b', heads)], inFeatures: qLoraRank });
    this.keys = Linear.load(weights, { parts: [part('wk', 1)], inFeatures: hiddenSize });
    const rowOrder = splitHeads(1, config);
    this.keyNorm = new BaseLayerNorm(weights.at('k_norm'), size, indexNormEps, { rowOrder });
    this.headWeights = inF32(weights.get('weights_proj.weight', [heads, hiddenSize]));
    this.cache = keyRows(layerId, 'index_cache', size, config.tokensPerKey);
    this.dtype = weights.dtype ?? 'bf16';
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.headWeights];
  }

  override caches(): CacheRef[] {
    return [this.cache];
  }

  /**
   * `input` [tokens, hidden], `queries` [tokens, qLoraRank] -> `chosen_keys` i32 [tokens, indexTopK]: positions in
   * ascending order, and -1 behind them where there are fewer keys.
   */
  buildGraph(graph: AtbGraph, input: string, queries: string): string {
    const { indexHeads: headNum } = this.config;
    const wide = { name: 'index_weights', weight: this.headWeights, dtype: this.dtype };
    const weights = buildWideLinear(graph, wide, input, 'index_weights_out');
    this.buildPartsGraph(graph, 'index_q', buildLinear(graph, this.queries, queries, 'index_q_out'), headNum);
    const key = this.keyNorm.buildGraph(graph, buildLinear(graph, this.keys, input, 'index_k_out'));
    this.buildPartsGraph(graph, 'index_k', key, 1);
    if (this.config.indexTurns ?? true) this.buildTurnedGraph(graph);
    const q = this.buildGrownGraph(graph, 'index_q');
    this.buildChosenGraph(graph, input, { q, weights, k: 'index_k' });
    return CHOSEN_KEYS;
  }

  /** Writes keys to the cache and chooses among all that are there: -> `chosen_keys`. */
  protected buildChosenGraph(graph: AtbGraph, _input: string, scored: ScoredParts): void {
    const { indexHeads: headNum, indexTopK: topK } = this.config;
    CommonOpBuilderManager.getBuilder({ category: 'INDEXER', opName: 'indexer', headNum, topK }).build(
      graph,
      {
        ...scored,
        cache: { key: this.cache.key, slots: 'slots_mapping', blockTables: 'block_tables' },
        seqLen: 'seq_len',
        qLen: 'q_len',
        chosenOut: CHOSEN_KEYS,
      },
    );
  }

  /** What scores read of `queries` [tokens, heads, indexHeadDim], of the same shape. */
  protected buildGrownGraph(_graph: AtbGraph, queries: string): string {
    return queries;
  }

  /** What turns of all heads and what stays, `<name>_pe` and `<name>_nope`; `name` itself where nothing turns. */
  private buildPartsGraph(graph: AtbGraph, name: string, from: string, heads: number): void {
    const { indexHeadDim, headDim, indexTurns = true } = this.config;
    if (indexTurns)
      addSplit(graph, `${name}_split`, from, [
        [`${name}_pe`, heads * headDim],
        [`${name}_nope`, heads * (indexHeadDim - headDim)],
      ]);
    else graph.addReshape(from, name, [dim(0), heads, indexHeadDim]);
  }

  /** Parts turn: -> `index_q` [tokens, heads, indexHeadDim], `index_k` of one head. */
  private buildTurnedGraph(graph: AtbGraph): void {
    const { indexHeads: headNum } = this.config;
    CommonOpBuilderManager.getBuilder({ category: 'ROPE', opName: 'index_rope', rotaryCoeff: 2 }).build(
      graph,
      {
        q: 'index_q_pe',
        k: 'index_k_pe',
        cosEmbedding: ROTARY_ROWS.cos,
        sinEmbedding: ROTARY_ROWS.sin,
        seqLen: 'seq_len',
        qOut: 'index_q_rope',
        kOut: 'index_k_rope',
      },
    );
    this.joinHeads(graph, 'index_q', headNum);
    this.joinHeads(graph, 'index_k', 1);
  }

  /** Both parts of each head side by side: -> `name` [tokens, heads, indexHeadDim]. */
  private joinHeads(graph: AtbGraph, name: string, heads: number): void {
    const { indexHeadDim, headDim } = this.config;
    const [rope, nope] = [`${name}_rope_heads`, `${name}_nope_heads`];
    graph.addReshape(`${name}_rope`, rope, [dim(0), heads, headDim]);
    graph.addReshape(`${name}_nope`, nope, [dim(0), heads, indexHeadDim - headDim]);
    graph.addOperation(new BaseOperation('Concat', { concatDim: 2 }, `${name}_concat`), [rope, nope], [name]);
  }
}

/**
 * The order of rows of heads that puts the turning numbers of all heads first, turned by halves, then those that
 * stay.
 */
function splitHeads(
  heads: number,
  {
    indexHeadDim,
    headDim,
    rope,
    indexInterleaved = false,
    indexTurnsLast = false,
    indexTurns = true,
  }: IndexerConfig,
): Int32Array | undefined {
  if (!indexTurns) return undefined;
  const turned = rotaryOrder(1, rope && { ...rope, interleaved: indexInterleaved });
  const still = indexHeadDim - headDim;
  const [firstTurned, firstStill] = indexTurnsLast ? [still, 0] : [0, headDim];
  return Int32Array.from({ length: heads * indexHeadDim }, (_, row) => {
    const behind = row - heads * headDim;
    if (behind >= 0) return Math.floor(behind / still) * indexHeadDim + firstStill + (behind % still);
    const size = row % headDim;
    return Math.floor(row / headDim) * indexHeadDim + firstTurned + (turned?.[size] ?? size);
  });
}
