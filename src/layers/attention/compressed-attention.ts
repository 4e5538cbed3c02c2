import { writeKeys } from '../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { entrySlots } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { type CacheRef, keyRows } from '../cache-ref.js';
import type { EntryUse } from '../config/entries.js';
import type { LayerStep } from '../decoder/decoder-layers.js';
import { addSplit } from '../formulas/split.js';
import { GroupedLinear } from '../linear/grouped-linear.js';
import { buildLinear, buildRowParallelLinear } from '../linear/linear-steps.js';
import { Module } from '../module.js';
import { BaseRMSNorm, UnscaledRMSNorm } from '../norms/norms.js';
import { Compressor } from './compressor.js';
import { EntryIndexer, type EntryIndexerConfig } from './entry-indexer.js';
import { ENTRY_LAYER_ROWS, entryRows } from './entry-rows.js';
import { ROTARY_ROWS, type RotaryRows } from './rotary-rows.js';
import { addOrderedTails, addTurnedTails, type TailedHeads, tailOrder } from './turned-tails.js';

/** What attention to entries is told by the configuration. */
export interface CompressedAttentionConfig extends EntryIndexerConfig {
  readonly numAttentionHeads: number;
  readonly headDim: number;
  /** Numbers of a head that turn, the last ones. */
  readonly rotaryDim: number;
  /** Keys up to a query's own that it attends to. */
  readonly windowSize: number;
  /** Groups of neighbouring heads, each of which is projected alone to `oLoraRank` numbers. */
  readonly oGroups: number;
  readonly oLoraRank: number;
  readonly entryUses: readonly EntryUse[];
  readonly tokensPerEntry: Readonly<Record<EntryUse, number>>;
}

/** The names of the norm of keys: published files', and that of files that transformers saved. */
const keyNormOf = (weights: Weights): Weights => weights.at(weights.has('norm.weight') ? 'norm' : 'kv_norm');

/**
 * Attention with sinks to a window of keys, which are values, too, and to entries of several tokens each (DeepSeek-V4,
 * transformers 5.24, DeepseekV4Attention). Keys have turned by their positions, so what comes out is turned back by the
 * query's.
 */
export class CompressedAttention extends Module implements LayerStep {
  readonly down: Linear;
  readonly qNorm: BaseRMSNorm;
  readonly qUp: Linear;
  readonly qHeadNorm: UnscaledRMSNorm;
  readonly kvNorm: BaseRMSNorm;
  readonly compressor: Compressor | undefined;
  readonly indexer: EntryIndexer | undefined;
  readonly dense: Linear;
  readonly groupUps: GroupedLinear;
  private readonly sinks: TensorRef;
  private readonly heads: TailedHeads;
  private readonly tokensPerEntry: number;
  private readonly cache: CacheRef;
  private readonly entryCache: CacheRef | undefined;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(
    layerId: number,
    private readonly config: CompressedAttentionConfig,
    weights: Weights,
  ) {
    super();
    const { hiddenSize, numAttentionHeads, headDim: size, rotaryDim, qLoraRank, rmsNormEps } = config;
    const { oGroups, oLoraRank } = config;
    const use = config.entryUses[layerId] ?? 'none';
    this.heads = { size, turned: rotaryDim };
    const order = tailOrder(1, this.heads);
    this.down = Linear.load(weights, {
      name: 'wq_a_wkv',
      parts: [
        { name: 'wq_a', outFeatures: qLoraRank, hasBias: false },
        { name: 'wkv', outFeatures: size, rowOrder: order, hasBias: false },
      ],
      inFeatures: hiddenSize,
    });
    this.qNorm = new BaseRMSNorm(weights.at('q_norm'), qLoraRank, rmsNormEps);
    const rowOrder = tailOrder(numAttentionHeads, this.heads);
    this.qUp = Linear.load(weights, {
      parts: [{ name: 'wq_b', outFeatures: numAttentionHeads * size, rowOrder, hasBias: false }],
      inFeatures: qLoraRank,
    });
    this.qHeadNorm = new UnscaledRMSNorm(weights.at('q_head_norm'), size, rmsNormEps);
    this.kvNorm = new BaseRMSNorm(keyNormOf(weights), size, rmsNormEps, order, 'kv_norm');
    this.tokensPerEntry = config.tokensPerEntry[use];
    const sizes = { ...this.heads, hiddenSize, rmsNormEps, tokensPerEntry: this.tokensPerEntry };
    this.compressor =
      use === 'none'
        ? undefined
        : new Compressor(
            layerId,
            weights.at('compressor'),
            { ...sizes, overlaps: use === 'chosen' },
            'entry',
          );
    this.indexer =
      use === 'chosen'
        ? new EntryIndexer(layerId, config, weights.at('indexer'), rotaryDim, this.tokensPerEntry)
        : undefined;
    this.groupUps = new GroupedLinear(weights, 'wo_a', {
      groups: oGroups,
      outFeatures: oLoraRank,
      inFeatures: (numAttentionHeads * size) / oGroups,
    });
    this.dense = Linear.load(weights, {
      parts: [{ name: 'wo_b', outFeatures: hiddenSize, hasBias: false }],
      inFeatures: oGroups * oLoraRank,
    });
    this.sinks = { ...weights.get('attn_sink', [numAttentionHeads]), keptIn: 'f32' };
    this.cache = keyRows(layerId, 'k_cache', size);
    this.entryCache = this.compressor && keyRows(layerId, 'entry_cache', size, this.tokensPerEntry);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.sinks];
  }

  override caches(): CacheRef[] {
    return [this.cache, ...(this.entryCache ? [this.entryCache] : []), ...(this.indexer?.caches() ?? [])];
  }

  /** `input` [tokens, hidden] -> `dense_out` [tokens, hidden]. */
  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { numAttentionHeads: heads, qLoraRank, headDim } = this.config;
    const rows = this.compressor ? ENTRY_LAYER_ROWS : ROTARY_ROWS;
    const down = buildLinear(graph, this.down, input, 'q_a_kv_out');
    addSplit(graph, 'q_a_kv_split', down, [
      ['q_a', qLoraRank],
      ['kv', headDim],
    ]);
    const queries = this.qNorm.buildGraph(graph, 'q_a');
    graph.addReshape(buildLinear(graph, this.qUp, queries, 'q_b_out'), 'q_heads', [dim(0), heads, headDim]);
    this.qHeadNorm.buildGraph(graph, 'q_heads', 'q');
    graph.addReshape(this.kvNorm.buildGraph(graph, 'kv'), 'k', [dim(0), 1, headDim]);
    const both = [
      ['q', heads],
      ['k', 1],
    ] as const;
    const [q = '', k = ''] = addTurnedTails(graph, both, this.heads, rows);
    writeKeys(graph, 'attention', k, { key: this.cache.key, slots: 'slots_mapping' });
    const chosen = this.buildEntriesGraph(graph, input, queries, rows);
    const attended = this.buildAttentionGraph(graph, q, chosen);
    graph.addOperation(
      new BaseOperation('Elewise', { elewiseType: 'ELEWISE_NEG' }, 'back_sin'),
      [rows.sin],
      ['back_sin_embedding'],
    );
    const back = { cos: rows.cos, sin: 'back_sin_embedding' };
    const [turned = ''] = addTurnedTails(graph, [[attended, heads]], this.heads, back);
    const ordered = addOrderedTails(graph, turned, heads, this.heads);
    const ups = this.groupUps.buildGraph(graph, ordered, 'group_ups');
    return buildRowParallelLinear(graph, kind, 'dense', this.dense, ups, 'dense_out');
  }

  /** Writes entries that end in this step to their caches. Returns which of them queries attend to, where that is not all. */
  private buildEntriesGraph(
    graph: AtbGraph,
    input: string,
    queries: string,
    rows: RotaryRows,
  ): string | undefined {
    const { compressor, entryCache, indexer, tokensPerEntry } = this;
    if (!compressor || !entryCache) return undefined;
    const [slots, own] = [entrySlots(tokensPerEntry), entryRows(tokensPerEntry)];
    const turn = (name: string, heads: TailedHeads): string =>
      addTurnedTails(graph, [[name, 1]], heads, own)[0] ?? '';
    const entry = turn(compressor.buildGraph(graph, input), this.heads);
    writeKeys(graph, 'entry', entry, { key: entryCache.key, slots });
    if (!indexer) return undefined;
    const small = { ...this.heads, size: this.config.indexHeadDim };
    const indexed = turn(indexer.compressor.buildGraph(graph, input), small);
    writeKeys(graph, 'index_entry', indexed, { key: indexer.cache.key, slots });
    return indexer.buildGraph(graph, input, queries, rows);
  }

  /** -> `attended` [tokens, heads, headDim]. */
  private buildAttentionGraph(graph: AtbGraph, q: string, chosen: string | undefined): string {
    const { numAttentionHeads: headNum, headDim, windowSize } = this.config;
    const param = {
      headNum,
      qkScale: 1 / Math.sqrt(headDim),
      windowSize,
      ...(this.entryCache && { tokensPerEntry: this.tokensPerEntry }),
      ...(chosen !== undefined && { hasChosen: true }),
    };
    const inputs = [q, this.cache.key, 'block_tables', 'seq_len', 'q_len', this.sinks.name];
    if (this.entryCache) inputs.push(this.entryCache.key);
    if (chosen !== undefined) inputs.push(chosen);
    graph.addOperation(new BaseOperation('CompressedAttention', param, 'attention'), inputs, ['attended']);
    return 'attended';
  }
}
