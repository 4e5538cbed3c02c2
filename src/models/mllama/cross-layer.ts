import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import { type GraphKind, hasOneQuery } from '../../graph/graph-kind.js';
import type { PagedAttentionParam } from '../../graph/ops/paged-attention.js';
import { type CacheRef, layerCache } from '../../layers/cache-ref.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import { TanhGate } from '../../layers/decoder/tanh-gate.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import type { BorrowedTensor } from '../../layers/module.js';
import { BaseRMSNorm, HeadNorm } from '../../layers/norms/norms.js';
import { SEEING, SEEING_MASK, TILED } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import type { MllamaConfig } from './config.js';

/** The keys and values that a layer has of pictures: written by the encoder's graph, read by those of text. */
export const shownCache = (
  layerId: number,
  { numKeyValueHeads: heads, headDim }: MllamaConfig,
): CacheRef & { readonly value: string } =>
  layerCache(layerId, { heads, keySize: headDim, valueSize: headDim }, 'shown_');

/** What the layer's graph calls them, and the model's: they are no cache of a sequence. */
const borrowedCache = ({ cache, key, value }: ReturnType<typeof shownCache>): BorrowedTensor[] => [
  [key, cache.key],
  [value, cache.value as string],
];

/** Makes keys and values of a layer of text out of what the encoder gives. */
export class ShownKeys extends BaseLayer {
  readonly keys: Linear;
  readonly values: Linear;
  readonly norm: HeadNorm;
  private readonly cache: ReturnType<typeof shownCache>;

  /** `number`: its place in the graph. `weights`: those of the layer's attention. */
  constructor(
    number: number,
    layerId: number,
    private readonly config: MllamaConfig,
    weights: Weights,
  ) {
    super(number, weights, 'shown_keys');
    const { hiddenSize: inFeatures, numKeyValueHeads: heads, headDim, rmsNormEps } = config;
    const linear = (name: string) =>
      Linear.load(weights, { parts: [{ name, outFeatures: heads * headDim }], inFeatures });
    this.keys = linear('k_proj');
    this.values = linear('v_proj');
    this.norm = new HeadNorm(weights.at('k_norm'), { heads, headDim }, rmsNormEps);
    this.cache = shownCache(layerId, config);
  }

  override borrowed(): BorrowedTensor[] {
    return borrowedCache(this.cache);
  }

  /** Writes them: what it returns nobody reads. */
  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, rows: string): string {
    const { numKeyValueHeads: heads, headDim } = this.config;
    const keys = this.norm.buildGraph(graph, buildLinear(graph, this.keys, rows, 'k_out'));
    const values = buildLinear(graph, this.values, rows, 'v_out');
    for (const [name, inHeads] of [
      [keys, 'k_heads'],
      [values, 'v_heads'],
    ] as const)
      graph.addReshape(name, inHeads, [dim(0), heads, headDim]);
    const { key, value } = this.cache;
    const write = new BaseOperation('ReshapeAndCache', {}, 'reshape_and_cache');
    graph.addOperation(write, ['k_heads', 'v_heads', key, value, TILED.slots], [key, value]);
    return values;
  }
}

/**
 * A layer of text that attends to a picture in place of words, behind tanh gates. It computes tokens of sequences that
 * show something alone; the others pass it as they are. The MLP leaves those before the picture as they are.
 */
export class CrossAttentionLayer extends BaseLayer {
  readonly inputNorm: BaseRMSNorm;
  readonly queries: Linear;
  readonly queryNorm: HeadNorm;
  readonly dense: Linear;
  readonly attentionGate: TanhGate;
  readonly mlpNorm: BaseRMSNorm;
  readonly mlp: BaseMLP;
  readonly mlpGate: TanhGate;
  private readonly cache: ReturnType<typeof shownCache>;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    layerId: number,
    private readonly config: MllamaConfig,
    weights: Weights,
  ) {
    super(layerId, weights, 'cross');
    const { hiddenSize, numAttentionHeads: heads, headDim, rmsNormEps } = config;
    const norm = (name: string) => new BaseRMSNorm(weights.at(name), hiddenSize, rmsNormEps);
    const attention = weights.at('cross_attn');
    const linear = (name: string, outFeatures: number, inFeatures: number) =>
      Linear.load(attention, { parts: [{ name, outFeatures }], inFeatures });
    this.inputNorm = norm('input_layernorm');
    this.queries = linear('q_proj', heads * headDim, hiddenSize);
    this.queryNorm = new HeadNorm(attention.at('q_norm'), { heads, headDim }, rmsNormEps);
    this.dense = linear('o_proj', hiddenSize, heads * headDim);
    this.attentionGate = new TanhGate(weights.get('cross_attn_attn_gate', [1]));
    this.mlpNorm = norm('post_attention_layernorm');
    this.mlp = new BaseMLP(config, weights.at('mlp'));
    this.mlpGate = new TanhGate(weights.get('cross_attn_mlp_gate', [1]));
    this.cache = shownCache(layerId, config);
  }

  override borrowed(): BorrowedTensor[] {
    return borrowedCache(this.cache);
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const seeing = gatherRows(graph, hidden, SEEING.rows, 'seeing_hidden');
    const attended = this.buildAttentionGraph(graph, kind, this.inputNorm.buildGraph(graph, seeing));
    const residual = addResidual(
      graph,
      seeing,
      this.attentionGate.buildGraph(graph, attended),
      'cross_residual',
    );
    const mixed = this.mlp.buildGraph(graph, kind, this.mlpNorm.buildGraph(graph, residual));
    const multiply = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, 'seen_mlp_mul');
    graph.addOperation(multiply, [mixed, SEEING.factors], ['seen_mlp']);
    const out = addResidual(graph, residual, this.mlpGate.buildGraph(graph, 'seen_mlp'), 'seeing_out');
    graph.addOperation(new BaseOperation('Concat', { concatDim: 0 }, 'all_out'), [hidden, out], ['all_out']);
    return gatherRows(graph, 'all_out', SEEING.index, 'layer_out');
  }

  /** Tokens that see the same are a sequence of the cache of pictures: [seeing, hidden], the same shape. */
  private buildAttentionGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { numAttentionHeads: headNum, numKeyValueHeads: kvHeadNum, headDim } = this.config;
    const q = this.queryNorm.buildGraph(graph, buildLinear(graph, this.queries, input, 'q_out'));
    graph.addReshape(q, 'q_heads', [dim(0), headNum, headDim]);
    const { key, value } = this.cache;
    const inputs = ['q_heads', key, value, SEEING.tables, SEEING.lengths];
    const param = { headNum, kvHeadNum, qkScale: 1 / Math.sqrt(headDim) };
    const attention = (more: Partial<PagedAttentionParam>) =>
      new BaseOperation('PagedAttention', { ...param, ...more }, 'cross_attention');
    if (hasOneQuery(kind))
      graph.addOperation(attention({ maskType: 'MASK_TYPE_UNDEFINED' }), inputs, ['attn_heads']);
    else
      graph.addOperation(
        attention({ maskType: 'MASK_TYPE_SPEC', calcType: 'CALC_TYPE_SPEC' }),
        [...inputs, SEEING_MASK, SEEING.queries],
        ['attn_heads'],
        { hint: { causal: true, seen: SEEING.keys } },
      );
    graph.addReshape('attn_heads', 'attn_out', [dim(0), dim(1, 2)]);
    return buildLinear(graph, this.dense, 'attn_out', 'dense_out');
  }
}
