import { CommonOpBuilderManager } from '../../common-op-builders/index.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import { type GraphKind, hasOneQuery } from '../../graph/graph-kind.js';
import {
  ALIBI_MASK,
  CHUNKED_MASK,
  FULL_MASK,
  insertMaskName,
  SEEN_KEYS,
  slidingMaskName,
  TOKEN_SEQUENCES,
} from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import { requireStep } from '../../weights/require-weights.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { AttentionConfig } from '../attention-config.js';
import { type CacheRef, layerCache } from '../cache-ref.js';
import { requireMember } from '../complete.js';
import { Clamp } from '../formulas/clamp.js';
import { buildRowParallelLinear } from '../linear/linear-steps.js';
import { projectionsOf, type QkvNames } from '../linear/projections.js';
import { Module } from '../module.js';
import { ROTARY_ROWS, type RotaryRows, SLIDING_ROTARY_ROWS } from './rotary-rows.js';

const SEPARATE: QkvNames = { q: 'q_proj', k: 'k_proj', v: 'v_proj' };

/** How a family's attention differs from LLaMA's. */
export interface AttentionOptions {
  /** The checkpoint's names of the projections: `q_proj`, `k_proj` and `v_proj` when absent. */
  readonly qkv?: QkvNames;
  /** The checkpoint's name of the output projection: `o_proj` when absent. */
  readonly dense?: string;
  /** What it reads, where that is wider than what it gives: hiddenSize when absent. */
  readonly inFeatures?: number;
  /** Whether the checkpoint's weights are [in, out], as GPT-2's are; false when absent. */
  readonly transposed?: boolean;
  /** What the result is multiplied by, as scaled residuals are: it becomes a part of the output projection. */
  readonly outputScale?: number;
  /** Queries, keys and values are kept within [-clip, clip]; they stay when absent. */
  readonly clip?: number | undefined;
  /** What scores are multiplied by: 1 / sqrt(headDim) when absent. */
  readonly scale?: number;
  /** Scaled scores s become `softcap * tanh(s / softcap)`; they stay when absent. */
  readonly softcap?: number | undefined;
  /** The checkpoint's name of a number for each head, [heads], that takes part in its softmax; none when absent. */
  readonly sinks?: string;
  /** False for encoders, whose tokens all see each other and which keep nothing; the configuration's when absent. */
  readonly isCausal?: boolean;
  /** The tensor [heads, context, context] whose numbers are added to scaled scores, where all tokens see each other. */
  readonly scoreBias?: string;
  /** The input that says how many tokens see each other: `seq_len` when absent. */
  readonly seqLen?: string;
  /** The input that is its mask: that of its kind of layers when absent. */
  readonly mask?: string;
  /** The rows of the tables that turn queries and keys: those of its kind of layers when absent. */
  readonly rotaryRows?: RotaryRows;
  /** The cache of another layer, whose keys and values are attended to: there are queries alone then. Its own when absent. */
  readonly cache?: CacheRef;
}

/** Queries, keys and values by their names in the graph: [tokens, heads * headDim], kv heads for keys and values. */
export interface Qkv {
  readonly q: string;
  readonly k: string;
  readonly v: string;
}

/** Attention once more in the same layer. */
export interface BesideAttention {
  /** Of its names in the graph. */
  readonly prefix: string;
  readonly cache: CacheRef | undefined;
}

/**
 * The steps of grouped-query attention over a paged KV cache. A model puts them in order in `buildGraph`, so its file
 * shows its architecture: each step takes names of tensors and returns those that it writes.
 */
export abstract class BaseAttention extends Module {
  readonly qkv: Linear;
  readonly dense: Linear;
  protected readonly windowSize: number | undefined;
  /** The input by which queries are multiplied, as variants have it. */
  protected readonly queryScales: string | undefined = undefined;
  private readonly scale: number;
  private readonly softcap: number | undefined;
  private readonly isCausal: boolean;
  private readonly seqLen: string;
  private readonly mask: string | undefined;
  private readonly rotaryRows: RotaryRows;
  private readonly cache: CacheRef;
  private readonly sinks: TensorRef | undefined;
  private readonly scoreBias: string | undefined;
  private readonly qkvClamp: Clamp | undefined;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(
    protected readonly layerId: number,
    protected readonly config: AttentionConfig,
    weights: Weights,
    {
      qkv = SEPARATE,
      dense = 'o_proj',
      scale,
      softcap,
      clip,
      isCausal,
      transposed = false,
      outputScale = 1,
      seqLen = 'seq_len',
      mask,
      inFeatures,
      sinks,
      scoreBias,
      rotaryRows,
      cache,
    }: AttentionOptions = {},
  ) {
    super();
    requireStep(`new ${new.target.name}`, config, weights);
    requireMember(this, 'buildGraph', 'function');
    const { hiddenSize, numAttentionHeads, numKeyValueHeads, headDim, valueHeadDim = headDim } = config;
    this.windowSize = config.slidingWindows[layerId];
    this.scale = scale ?? 1 / Math.sqrt(headDim);
    this.softcap = softcap;
    this.isCausal = isCausal ?? config.isCausal ?? true;
    this.seqLen = seqLen;
    this.mask = mask;
    this.scoreBias = scoreBias;
    const slidingRope = this.windowSize === undefined ? undefined : config.slidingRope;
    this.rotaryRows = rotaryRows ?? (slidingRope ? SLIDING_ROTARY_ROWS : ROTARY_ROWS);
    const parts = projectionsOf({ ...config, rope: slidingRope ?? config.rope }, qkv, transposed);
    const [queries] = parts;
    this.qkv = Linear.load(weights, {
      ...(cache ? { parts: [queries] as const } : { name: 'query_key_value', parts }),
      inFeatures: inFeatures ?? hiddenSize,
      hasBias: config.qkvBias,
    });
    this.dense = Linear.load(weights, {
      parts: [{ name: dense, outFeatures: hiddenSize, transposed, times: outputScale }],
      inFeatures: numAttentionHeads * valueHeadDim,
      hasBias: config.denseBias,
    });
    this.sinks =
      sinks === undefined ? undefined : { ...weights.get(sinks, [numAttentionHeads]), keptIn: 'f32' };
    this.qkvClamp = clip === undefined ? undefined : new Clamp(weights, 'clip_qkv', clip);
    this.cache =
      cache ?? layerCache(layerId, { heads: numKeyValueHeads, keySize: headDim, valueSize: valueHeadDim });
  }

  override getWeights(): TensorRef[] {
    return this.sinks ? [...super.getWeights(), this.sinks] : super.getWeights();
  }

  /** `input` [tokens, hidden] -> [tokens, hidden]. */
  abstract buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string;

  /** The cache of its own; a layer that shares another layer's cache gives that one. */
  override caches(): CacheRef[] {
    return this.isCausal ? [this.cache] : [];
  }

  /** `input` [tokens, hidden] -> queries, keys and values. */
  buildQkvGraph(graph: AtbGraph, input: string): Qkv {
    const { numAttentionHeads: headNum, numKeyValueHeads: kvHeadNum, headDim, valueHeadDim } = this.config;
    CommonOpBuilderManager.getBuilder({
      category: 'QKV',
      opName: 'qkv',
      linears: [this.qkv],
      headNum,
      kvHeadNum,
      headDim,
      ...(valueHeadDim !== undefined && { valueHeadDim }),
    }).build(graph, { input, qOut: 'q', kOut: 'k', vOut: 'v' });
    const clipped = (input: string) => this.qkvClamp?.buildGraph(graph, input, `clipped_${input}`) ?? input;
    return { q: clipped('q'), k: clipped('k'), v: clipped('v') };
  }

  /** Rotates queries and keys by their positions: the same shapes. */
  buildRopeGraph(graph: AtbGraph, q: string, k: string, { cos, sin } = this.rotaryRows): Omit<Qkv, 'v'> {
    CommonOpBuilderManager.getBuilder({ category: 'ROPE', opName: 'rope', rotaryCoeff: 2 }).build(graph, {
      q,
      k,
      cosEmbedding: cos,
      sinEmbedding: sin,
      seqLen: this.seqLen,
      qOut: 'q_rope',
      kOut: 'k_rope',
    });
    return { q: 'q_rope', k: 'k_rope' };
  }

  /**
   * Writes keys and values to the cache, if there is one, and attends: `attn_out` [tokens, heads * valueHeadDim].
   * `beside`: how a layer attends once more, to other values.
   */
  buildAttentionGraph(
    graph: AtbGraph,
    kind: GraphKind,
    { q, k, v }: Qkv,
    { prefix, cache: cacheInUse }: BesideAttention = { prefix: '', cache: this.caches()[0] },
  ): string {
    const {
      numAttentionHeads: headNum,
      numKeyValueHeads: kvHeadNum,
      headDim,
      valueHeadDim,
      alibiSlopes: slopes,
    } = this.config;
    const { windowSize, scale, softcap, isCausal, sinks } = this;
    const chunkSize = this.config.attentionChunks?.[this.layerId];
    const cache = kind.fillsCache ? cacheInUse : undefined;
    CommonOpBuilderManager.getBuilder({
      category: 'ATTENTION',
      opName: `${prefix}attention`,
      attnType: 'PAGED_ATTENTION',
      kind,
      headNum,
      kvHeadNum,
      headDim,
      ...(valueHeadDim !== undefined && { valueHeadDim }),
      scale,
      isCausal,
      ...(windowSize !== undefined && { windowSize }),
      ...(chunkSize !== undefined && { chunkSize }),
      ...(slopes && { slopes }),
      ...(softcap !== undefined && { softcap }),
      ...(sinks && { hasSinks: true }),
      ...(this.scoreBias !== undefined && { hasScoreBias: true }),
    }).build(graph, {
      q,
      k,
      v,
      ...(cache?.value !== undefined && {
        cache: {
          key: cache.key,
          value: cache.value,
          slots: 'slots_mapping',
          blockTables: 'block_tables',
        },
      }),
      seqLen: this.seqLen,
      attentionMask: this.maskName(kind),
      qLen: 'q_len',
      ...(this.seesAhead(kind) && { seen: SEEN_KEYS }),
      ...(slopes && { tokenSequences: TOKEN_SEQUENCES }),
      ...(sinks && { sinks: sinks.name }),
      ...(this.queryScales !== undefined && { queryScales: this.queryScales }),
      attentionOut: `${prefix}attn_out`,
    });
    return `${prefix}attn_out`;
  }

  /** Whether some tokens see later ones: decode's are words, and the last. */
  private seesAhead(kind: GraphKind): boolean {
    return (this.config.seesInserts ?? false) && !hasOneQuery(kind);
  }

  private maskName(kind: GraphKind): string {
    const own = this.scoreBias ?? this.mask;
    if (own !== undefined) return own;
    if (this.config.alibiSlopes) return ALIBI_MASK;
    if (this.config.attentionChunks?.[this.layerId] !== undefined) return CHUNKED_MASK;
    if (this.seesAhead(kind)) return insertMaskName(this.windowSize, this.config.slidingWindows);
    return this.windowSize === undefined
      ? FULL_MASK
      : slidingMaskName(this.windowSize, this.config.slidingWindows);
  }

  /** `input` [tokens, heads * valueHeadDim] -> `dense_out` [tokens, hidden]. */
  buildDenseGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    return buildRowParallelLinear(graph, kind, 'dense', this.dense, input, 'dense_out');
  }
}
