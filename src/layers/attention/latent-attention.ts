import { CommonOpBuilderManager } from '../../common-op-builders/index.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { LATENT_MASK, QUERY_SCALES } from '../../step-inputs/index.js';
import { headMatrices } from '../../weights/head-matrices.js';
import { Linear } from '../../weights/linear.js';
import type { LinearPart } from '../../weights/linear-part.js';
import { inF32 } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { LatentAttentionConfig } from '../attention-config.js';
import type { CacheRef } from '../cache-ref.js';
import { addScaled } from '../formulas/residual.js';
import { addSplit } from '../formulas/split.js';
import { buildLinear, buildRowParallelLinear } from '../linear/linear-steps.js';
import { Module } from '../module.js';
import { BaseRMSNorm } from '../norms/norms.js';
import { queryParts, splitHeads } from './latent-heads.js';
import { ROTARY_ROWS } from './rotary-rows.js';

/** The parts of queries and of the shared key behind those that never turn, where there are any, by their names. */
type TurnedParts = Readonly<Record<'qRope' | 'kRope', string | undefined>>;

/** What attention reads beside these. */
interface AttendedParts {
  readonly latent: string;
  readonly chosen: string | undefined;
}

/** How a family's latent attention differs. By what it multiplies is 1 when absent. */
export interface LatentOptions {
  readonly outputScale?: number;
  readonly queryScale?: number;
  readonly latentScale?: number;
  /** The checkpoint's name of a number for each head, [heads], that takes part in its softmax; none when absent. */
  readonly sinks?: string;
  /** The checkpoint's name of the projection of what comes out; `o_proj` when absent. */
  readonly dense?: string;
  /** Of the norms of latent vectors; that of DeepSeek's when absent. */
  readonly latentEpsilon?: number;
}

/** Of the norms of latent vectors, whatever config.json says of the others (transformers 5.24, DeepseekV2RMSNorm's default). */
const LATENT_EPSILON = 1e-6;

/**
 * Multi-head latent attention (arXiv:2405.04434, section 2.1). The cache holds of each token the vector that all keys and
 * values are made of, after its norm, and one rotated key that all heads share: kvLoraRank + headDim numbers. The matrices
 * that would make keys are multiplied with queries instead, and those of values with what comes out (section 2.1.2), in
 * every kind of graph: a token's result is then the same bits however its prompt was cut.
 */
export class LatentAttention extends Module {
  /** What the hidden state becomes: queries, or the vector that they are made of; latent vector; the key that turns. */
  readonly down: Linear;
  readonly qNorm: BaseRMSNorm | undefined;
  readonly qUp: Linear | undefined;
  readonly kvNorm: BaseRMSNorm;
  readonly keyUp: TensorRef;
  readonly valueUp: TensorRef;
  readonly dense: Linear;
  private readonly scale: number;
  private readonly latentScale: number;
  private readonly sinks: TensorRef | undefined;
  protected readonly cache: CacheRef;

  /**
   * `outputScale`: what the result is multiplied by, as scaled residuals are. `queryScale`, `latentScale`: what queries are
   * multiplied by, and the vectors that keys and values are made of.
   * Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*.
   */
  constructor(
    layerId: number,
    protected readonly config: LatentAttentionConfig,
    weights: Weights,
    options: LatentOptions = {},
  ) {
    super();
    const { outputScale = 1, queryScale = 1, latentScale = 1, sinks, dense = 'o_proj' } = options;
    const { latentEpsilon = LATENT_EPSILON } = options;
    const { hiddenSize, numAttentionHeads: heads, qLoraRank, kvLoraRank, rope } = config;
    const { qkNopeHeadDim: keyRows, headDim, vHeadDim: valueRows, qkvBias, denseBias } = config;
    const queries: LinearPart = {
      name: qLoraRank === undefined ? 'q_proj' : 'q_b_proj',
      outFeatures: heads * (keyRows + headDim),
      rowOrder: splitHeads({ heads, still: keyRows, headDim, rope }),
      hasBias: false,
    };
    this.down = Linear.load(weights, {
      name: 'q_a_kv_a_proj',
      parts: [
        qLoraRank === undefined ? queries : { name: 'q_a_proj', outFeatures: qLoraRank },
        {
          name: 'kv_a_proj_with_mqa',
          outFeatures: kvLoraRank + headDim,
          rowOrder: splitHeads({ heads: 1, still: kvLoraRank, headDim, rope }),
        },
      ],
      inFeatures: hiddenSize,
      hasBias: qkvBias,
    });
    if (qLoraRank !== undefined) {
      this.qNorm = new BaseRMSNorm(weights.at('q_a_layernorm'), qLoraRank, latentEpsilon);
      this.qUp = this.loadQueries(weights, queries, qLoraRank);
    }
    this.kvNorm = new BaseRMSNorm(weights.at('kv_a_layernorm'), kvLoraRank, latentEpsilon);
    const { keyUp, valueUp } = headMatrices(weights, {
      name: 'kv_b_proj',
      heads,
      keyRows,
      valueRows,
      inFeatures: kvLoraRank,
    });
    this.keyUp = keyUp;
    this.valueUp = valueUp;
    this.dense = Linear.load(weights, {
      parts: [{ name: dense, outFeatures: hiddenSize, times: outputScale }],
      inFeatures: heads * valueRows,
      hasBias: denseBias,
    });
    const scaling = rope?.scaling;
    const stretched = scaling?.type === 'yarn' ? (scaling.scoreFactor ?? 1) : 1;
    this.scale = (queryScale * stretched) / Math.sqrt(keyRows + headDim);
    this.latentScale = latentScale;
    this.sinks = sinks === undefined ? undefined : inF32(weights.get(sinks, [heads]));
    const cache = { heads: 1, keySize: kvLoraRank + headDim, valueSize: kvLoraRank };
    this.cache = { cache: { key: `layer_${layerId}_k_cache`, ...cache }, key: 'k_cache' };
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.keyUp, this.valueUp, ...(this.sinks ? [this.sinks] : [])];
  }

  override caches(): CacheRef[] {
    return [this.cache];
  }

  /** `input` [tokens, hidden] -> `dense_out` [tokens, hidden]. */
  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const queries = this.buildDownGraph(graph, input);
    const normed = this.kvNorm.buildGraph(graph, 'kv_a');
    const latent =
      this.latentScale === 1 ? normed : addScaled(graph, normed, this.latentScale, 'kv_a_scaled');
    const turned = this.buildTurnedGraph(graph);
    const chosen = this.buildChoiceGraph(graph, input, queries);
    const attended = this.buildAttentionGraph(graph, kind, { latent, ...turned, chosen });
    const gated = this.buildGatedGraph(graph, attended, input);
    return buildRowParallelLinear(graph, kind, 'dense', this.dense, gated, 'dense_out');
  }

  /** What the output projection reads of `attended` [tokens, heads * vHeadDim], of the same shape. */
  protected buildGatedGraph(_graph: AtbGraph, attended: string, _input: string): string {
    return attended;
  }

  /**
   * Which keys each query attends to, i32 [tokens, most], where that is not all up to its own. `queries`: the vector
   * that queries are made of [tokens, qLoraRank], or the hidden state where there is none.
   */
  protected buildChoiceGraph(_graph: AtbGraph, _input: string, _queries: string): string | undefined {
    return undefined;
  }

  /**
   * What makes queries, as `part` says, of the vector of `qLoraRank` numbers that they are made of. The constructor
   * calls it: an override may read `config`, and nothing of its own.
   */
  protected loadQueries(weights: Weights, part: LinearPart, qLoraRank: number): Linear {
    return Linear.load(weights, { parts: [part], inFeatures: qLoraRank });
  }

  /** `qUp` of `normed` [tokens, qLoraRank], which is the norm of `q_a` -> `q_nope`, `q_pe` of all heads. */
  protected buildQueriesGraph(graph: AtbGraph, qUp: Linear, normed: string): void {
    if (this.config.headDim === 0) buildLinear(graph, qUp, normed, 'q_nope');
    else addSplit(graph, 'q_b_split', buildLinear(graph, qUp, normed, 'q_b_out'), queryParts(this.config));
  }

  /** `q_pe`, `k_pe`, turned where the configuration has a rotary embedding. */
  private buildTurnedGraph(graph: AtbGraph): TurnedParts {
    if (this.config.headDim === 0) return { qRope: undefined, kRope: undefined };
    if (!this.config.rope) return { qRope: 'q_pe', kRope: 'k_pe' };
    const { cos, sin } = ROTARY_ROWS;
    CommonOpBuilderManager.getBuilder({ category: 'ROPE', opName: 'rope', rotaryCoeff: 2 }).build(graph, {
      q: 'q_pe',
      k: 'k_pe',
      cosEmbedding: cos,
      sinEmbedding: sin,
      seqLen: 'seq_len',
      qOut: 'q_rope',
      kOut: 'k_rope',
    });
    return { qRope: 'q_rope', kRope: 'k_rope' };
  }

  /**
   * `input` [tokens, hidden] -> `q_nope`, `q_pe` of all heads, `kv_a` [tokens, kvLoraRank], `k_pe` [tokens, headDim].
   * Returns what queries are made of.
   */
  private buildDownGraph(graph: AtbGraph, input: string): string {
    const { qLoraRank, kvLoraRank, headDim } = this.config;
    const keys = (
      [
        ['kv_a', kvLoraRank],
        ['k_pe', headDim],
      ] as const
    ).filter(([, size]) => size > 0);
    buildLinear(graph, this.down, input, 'q_a_kv_a_out');
    if (qLoraRank === undefined || !this.qNorm || !this.qUp) {
      const queries = queryParts(this.config);
      addSplit(graph, 'q_kv_a_split', 'q_a_kv_a_out', [...queries, ['kv_a_k_pe', kvLoraRank + headDim]]);
      addSplit(graph, 'kv_a_split', 'kv_a_k_pe', keys);
      return input;
    }
    addSplit(graph, 'q_a_kv_a_split', 'q_a_kv_a_out', [['q_a', qLoraRank], ...keys]);
    const normed = this.qNorm.buildGraph(graph, 'q_a');
    this.buildQueriesGraph(graph, this.qUp, normed);
    return normed;
  }

  /** Writes to the cache, if there is one, and attends: -> `attn_out` [tokens, heads * vHeadDim]. */
  private buildAttentionGraph(
    graph: AtbGraph,
    kind: GraphKind,
    { latent, qRope, kRope, chosen }: TurnedParts & AttendedParts,
  ): string {
    const { numAttentionHeads: headNum, kvLoraRank, qkNopeHeadDim, headDim, vHeadDim } = this.config;
    const { key } = this.cache;
    CommonOpBuilderManager.getBuilder({
      category: 'MLA',
      opName: 'attention',
      kind,
      headNum,
      kvLoraRank,
      qkNopeHeadDim,
      qkRopeHeadDim: headDim,
      vHeadDim,
      scale: this.scale,
      keys: chosen === undefined ? 'all' : 'chosen',
      ...(this.sinks && { hasSinks: true }),
    }).build(graph, {
      qNope: 'q_nope',
      qRope,
      latent,
      kRope,
      keyUp: this.keyUp.name,
      valueUp: this.valueUp.name,
      ...(kind.fillsCache && { cache: { key, slots: 'slots_mapping', blockTables: 'block_tables' } }),
      seqLen: 'seq_len',
      attentionMask: LATENT_MASK,
      qLen: 'q_len',
      ...(chosen !== undefined && { chosen }),
      ...(this.sinks && { sinks: this.sinks.name }),
      ...(this.config.queryScale && { queryScales: QUERY_SCALES }),
      attentionOut: 'attn_out',
    });
    return 'attn_out';
  }
}
