import { CommonOpBuilderManager } from '../../common-op-builders/index.js';
import { type AtbGraph, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { LATENT_MASK, type RopeConfig } from '../../step-inputs/index.js';
import { headMatrices } from '../../weights/head-matrices.js';
import { Linear } from '../../weights/linear.js';
import type { LinearPart } from '../../weights/linear-part.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { LatentAttentionConfig } from '../attention-config.js';
import type { CacheRef } from '../cache-ref.js';
import type { LayerStep } from '../decoder/decoder-layers.js';
import { addPair } from '../formulas/residual.js';
import { addSplit } from '../formulas/split.js';
import { addColumns } from '../linear/gate.js';
import { buildLinear, buildRowParallelLinear } from '../linear/linear-steps.js';
import { type BorrowedTensor, Module } from '../module.js';
import { BaseLayerNorm, BaseRMSNorm } from '../norms/norms.js';
import { GrownQueries } from './grown-queries.js';
import { CHOSEN_KEYS, Indexer, type IndexerConfig } from './indexer.js';
import { splitHeads } from './latent-heads.js';
import { ROTARY_ROWS } from './rotary-rows.js';
import { indexerRoles, indexerVariant } from './sparse-latent-attention.js';

/** What such attention is told by the configuration. */
export interface LendingLatentConfig extends LatentAttentionConfig, Omit<IndexerConfig, 'qLoraRank'> {
  readonly rope: RopeConfig;
  /** Of the norm of latent vectors. */
  readonly rmsNormEps: number;
  /** For each layer, the one whose indexer chooses its keys: itself, or one before it. */
  readonly indexOwners: readonly number[];
  /** For each layer, whether a part of its heads turns. */
  readonly rotaryLayers: readonly boolean[];
  /** For each layer, the one whose cache it attends to: its own, or that of one before it. */
  readonly keySources: readonly number[];
}

/** The checkpoint's names of its tensors, counted from attention and from the indexer in it. */
export interface LendingLatentNames {
  readonly queries: string;
  readonly down: string;
  readonly norm: string;
  readonly up: string;
  readonly dense: string;
  /** Of what queries grow by, in attention and in its indexer. */
  readonly growth: string;
  readonly indexerNorm: string;
}

/** What attention reads, by its names in the graph, beside what turns. */
interface Made {
  readonly qNope: string;
  readonly latent: string | undefined;
  readonly chosen: string;
}

/** Tells layers apart by what turns, by whose keys they attend to, and by what they do for the choice of these. */
export const lendingLatentVariant = (config: LendingLatentConfig, layerId: number): string[] => [
  config.rotaryLayers[layerId] ? '' : 'position_free',
  config.keySources[layerId] === layerId ? '' : 'borrowing',
  indexerVariant(config, layerId),
];

/** Of the norm of what the indexer's queries are made of (transformers 5.24, MistralLarge4TextIndexer). */
const EPSILON = 1e-6;

/** An indexer whose queries are made of normed hidden states, and grow with positions. */
class GrownIndexer extends Indexer {
  readonly inputNorm: BaseLayerNorm;
  readonly growth: GrownQueries;

  constructor(layerId: number, config: LendingLatentConfig, weights: Weights, names: LendingLatentNames) {
    const { hiddenSize, indexHeads, rotaryLayers } = config;
    super(layerId, { ...config, qLoraRank: hiddenSize, indexTurns: rotaryLayers[layerId] === true }, weights);
    this.inputNorm = new BaseLayerNorm(weights.at(names.indexerNorm), hiddenSize, EPSILON, { hasBias: true });
    this.growth = new GrownQueries(indexHeads, weights.at(names.growth));
  }

  override buildGraph(graph: AtbGraph, input: string): string {
    return super.buildGraph(graph, input, this.inputNorm.buildGraph(graph, input));
  }

  protected override buildGrownGraph(graph: AtbGraph, queries: string): string {
    const factors = this.growth.buildFactorsGraph(graph, 'index_growth');
    return addPair(graph, 'ELEWISE_MUL', queries, factors, 'index_q_grown');
  }
}

/**
 * Latent attention to chosen keys, as DeepSeek has it (see `LatentAttention`), whose queries grow with positions by
 * what each head has learned. Heads of some layers do not turn at all, and some layers attend to the cache of an earlier one.
 */
export class LendingLatentAttention extends Module implements LayerStep {
  readonly down: Linear;
  readonly kvNorm: BaseRMSNorm | undefined;
  readonly keyUp: TensorRef;
  readonly valueUp: TensorRef;
  readonly dense: Linear;
  readonly growth: GrownQueries;
  readonly indexer: GrownIndexer | undefined;
  private readonly sizes: { readonly still: number; readonly turned: number };
  private readonly cache: CacheRef;
  private readonly roles: ReturnType<typeof indexerRoles>;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(
    layerId: number,
    private readonly config: LendingLatentConfig,
    weights: Weights,
    names: LendingLatentNames,
  ) {
    super();
    const { hiddenSize, numAttentionHeads: heads, kvLoraRank, headDim, vHeadDim, rope } = config;
    const whole = config.qkNopeHeadDim + headDim;
    const turned = config.rotaryLayers[layerId] ? headDim : 0;
    const still = whole - turned;
    const source = config.keySources[layerId] as number;
    this.sizes = { still, turned };
    const part = (name: string, count: number, stays: number, hasBias: boolean): LinearPart => ({
      name,
      outFeatures: count * (stays + turned),
      rowOrder: splitHeads({ heads: count, still: stays, headDim: turned, rope }),
      hasBias,
    });
    const own = source === layerId ? [part(names.down, 1, kvLoraRank, config.qkvBias)] : [];
    this.down = Linear.load(weights, {
      name: 'q_kv_a_proj',
      parts: [part(names.queries, heads, still, false), ...own],
      inFeatures: hiddenSize,
      hasBias: config.qkvBias && own.length > 0,
    });
    this.kvNorm =
      source === layerId ? new BaseRMSNorm(weights.at(names.norm), kvLoraRank, config.rmsNormEps) : undefined;
    const { keyUp, valueUp } = headMatrices(weights, {
      ...{ name: names.up, heads, keyRows: still, valueRows: vHeadDim, inFeatures: kvLoraRank },
    });
    this.keyUp = keyUp;
    this.valueUp = valueUp;
    this.dense = Linear.load(weights, {
      parts: [{ name: names.dense, outFeatures: hiddenSize }],
      inFeatures: heads * vHeadDim,
      hasBias: config.denseBias,
    });
    this.growth = new GrownQueries(heads, weights.at(names.growth));
    const cache = { heads: 1, keySize: kvLoraRank + turned, valueSize: kvLoraRank };
    this.cache = { cache: { key: `layer_${source}_k_cache`, ...cache }, key: 'k_cache' };
    this.roles = indexerRoles(config, layerId);
    if (this.roles.isOwn) this.indexer = new GrownIndexer(layerId, config, weights.at('indexer'), names);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.keyUp, this.valueUp];
  }

  override caches(): CacheRef[] {
    return [this.cache, ...super.caches()];
  }

  override borrowed(): BorrowedTensor[] {
    return this.indexer ? [] : [[CHOSEN_KEYS, `${CHOSEN_KEYS}_${this.roles.owner}`]];
  }

  override lent(): string[] {
    return this.roles.isLending ? [CHOSEN_KEYS] : [];
  }

  /** `input` [tokens, hidden] -> `dense_out` [tokens, hidden]. */
  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const made = this.buildDownGraph(graph, input);
    if (this.sizes.turned > 0) this.buildRopeGraph(graph, made.latent !== undefined);
    const chosen = this.indexer?.buildGraph(graph, input) ?? CHOSEN_KEYS;
    this.buildAttentionGraph(graph, kind, { ...made, chosen });
    return buildRowParallelLinear(graph, kind, 'dense', this.dense, 'attn_out', 'dense_out');
  }

  /**
   * `q_pe` of all heads and `k_pe`, where heads turn. Returns what of queries does not, and the normed latent vector of
   * layers with keys of their own.
   */
  private buildDownGraph(graph: AtbGraph, input: string): Pick<Made, 'qNope' | 'latent'> {
    const { numAttentionHeads: heads, kvLoraRank } = this.config;
    const { still, turned } = this.sizes;
    const out = buildLinear(graph, this.down, input, 'q_kv_a_out');
    const parts = (
      [
        ['q_nope', heads * still],
        ['q_pe', heads * turned],
        ['kv_a_k_pe', this.kvNorm ? kvLoraRank + turned : 0],
      ] as const
    ).filter(([, size]) => size > 0);
    if (parts.length === 1) return { qNope: out, latent: undefined };
    addSplit(graph, 'q_kv_a_split', out, parts);
    if (turned > 0 && this.kvNorm)
      addSplit(graph, 'kv_a_split', 'kv_a_k_pe', [
        ['kv_a', kvLoraRank],
        ['k_pe', turned],
      ]);
    return { qNope: 'q_nope', latent: this.kvNorm?.buildGraph(graph, turned > 0 ? 'kv_a' : 'kv_a_k_pe') };
  }

  /** `q_pe`, `k_pe` -> `q_rope`, `k_rope`. ATB turns keys along: where there are none, nobody reads them. */
  private buildRopeGraph(graph: AtbGraph, hasKeys: boolean): void {
    CommonOpBuilderManager.getBuilder({ category: 'ROPE', opName: 'rope', rotaryCoeff: 2 }).build(graph, {
      q: 'q_pe',
      k: hasKeys ? 'k_pe' : addColumns(graph, 'q_pe', 0, this.sizes.turned, 'k_unread'),
      cosEmbedding: ROTARY_ROWS.cos,
      sinEmbedding: ROTARY_ROWS.sin,
      seqLen: 'seq_len',
      qOut: 'q_rope',
      kOut: 'k_rope',
    });
  }

  /** Writes to the cache what is the layer's own, and attends: -> `attn_out` [tokens, heads * vHeadDim]. */
  private buildAttentionGraph(graph: AtbGraph, kind: GraphKind, { qNope, latent, chosen }: Made): void {
    const { numAttentionHeads: headNum, kvLoraRank, vHeadDim, qkNopeHeadDim, headDim, rope } = this.config;
    const { still, turned } = this.sizes;
    const factors = this.growth.buildFactorsGraph(graph, 'growth');
    const grown = (input: string, size: number): string => {
      graph.addReshape(input, `${input}_heads`, [dim(0), headNum, size]);
      const product = addPair(graph, 'ELEWISE_MUL', `${input}_heads`, factors, `${input}_grown`);
      graph.addReshape(product, `${input}_flat`, [dim(0), dim(1, 2)]);
      return `${input}_flat`;
    };
    const { scaling } = rope;
    const stretched = scaling.type === 'yarn' ? (scaling.scoreFactor ?? 1) : 1;
    CommonOpBuilderManager.getBuilder({
      ...{ category: 'MLA', opName: 'attention', kind, headNum, kvLoraRank, vHeadDim, keys: 'chosen' },
      ...{ qkNopeHeadDim: still, qkRopeHeadDim: turned },
      scale: stretched / Math.sqrt(qkNopeHeadDim + headDim),
    }).build(graph, {
      qNope: grown(qNope, still),
      qRope: turned > 0 ? grown('q_rope', turned) : undefined,
      latent,
      kRope: turned > 0 ? 'k_rope' : undefined,
      keyUp: this.keyUp.name,
      valueUp: this.valueUp.name,
      cache: { key: this.cache.key, slots: 'slots_mapping', blockTables: 'block_tables' },
      seqLen: 'seq_len',
      attentionMask: LATENT_MASK,
      qLen: 'q_len',
      chosen,
      attentionOut: 'attn_out',
    });
  }
}
