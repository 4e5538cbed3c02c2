import type { FloatDType } from '../../dtype.js';
import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import type { LayerStep } from '../../layers/decoder/decoder-layers.js';
import { addNarrowed, addWidened } from '../../layers/formulas/casts.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { addResidual, addScaled } from '../../layers/formulas/residual.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { Module } from '../../layers/module.js';
import { SOUND_BLOCKS } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import { consecutiveRows } from '../../weights/row-orders.js';
import type { TensorRef, Weights } from '../../weights/weights.js';

/** What such attention is told. */
export interface BlockAttentionSizes {
  readonly hiddenSize: number;
  readonly numHeads: number;
  readonly headDim: number;
  /** Distances, each of which has a vector as long as a head. */
  readonly distances: number;
}

/**
 * Attention of rows of a sound to those of their block. To the product of a query and a key is added that of the
 * query and a learned vector of their distance, which all heads share (arXiv:1803.02155).
 */
export class BlockAttention extends Module implements LayerStep {
  readonly qkv: Linear;
  readonly out: Linear;
  private readonly distances: TensorRef;
  private readonly dtype: FloatDType;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(
    private readonly sizes: BlockAttentionSizes,
    weights: Weights,
  ) {
    super();
    const { hiddenSize, numHeads, headDim, distances } = sizes;
    const inner = numHeads * headDim;
    const [keys, values] = consecutiveRows([inner, inner]);
    this.dtype = weights.dtype ?? 'bf16';
    this.qkv = Linear.load(weights, {
      name: 'query_key_value',
      parts: [
        { name: 'to_q', outFeatures: inner },
        { name: 'to_kv', outFeatures: inner, rows: keys },
        { name: 'to_kv', outFeatures: inner, rows: values },
      ],
      inFeatures: hiddenSize,
    });
    const parts = [{ name: 'to_out', outFeatures: hiddenSize }] as const;
    this.out = Linear.load(weights, { parts, inFeatures: inner, hasBias: true });
    this.distances = weights.at('rel_pos_emb').get('weight', [distances, headDim]);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.distances];
  }

  /** `input` [rows, hidden] -> the tensor whose name is returned, of the same shape. */
  buildGraph(graph: AtbGraph, _kind: GraphKind, input: string): string {
    const { dtype } = this;
    const { numHeads, headDim } = this.sizes;
    const packed = buildLinear(graph, this.qkv, input, 'qkv_out');
    const blocks = gatherRows(graph, packed, SOUND_BLOCKS.rows, 'qkv_blocks');
    const split = new BaseOperation('Split', { splitDim: 2, splitNum: 3 }, 'qkv_split');
    graph.addOperation(split, [blocks], ['q_blocks', 'k_blocks', 'v_blocks']);
    for (const of of ['q', 'k', 'v'])
      graph.addReshape(`${of}_blocks`, `${of}_of_heads`, [dim(0), dim(1), numHeads, headDim]);
    const [q, k, v] = ['q', 'k', 'v'].map((of) => buildHeadsGraph(graph, of)) as [string, string, string];
    const products = multiplied(graph, q, k, true, 'products');
    const sum = addResidual(
      graph,
      addWidened(graph, products, dtype, 'products_wide'),
      addWidened(graph, this.buildDistancesGraph(graph), dtype, 'distances_wide'),
      'scores',
    );
    const scaled = addScaled(graph, sum, 1 / Math.sqrt(headDim), 'scores_scaled');
    const masked = addResidual(graph, scaled, SOUND_BLOCKS.mask, 'scores_masked');
    const shares = dtype === 'f32' ? 'shares' : 'shares_wide';
    graph.addOperation(new BaseOperation('Softmax', { axes: [-1] }, 'scores_softmax'), [masked], [shares]);
    const sums = multiplied(graph, addNarrowed(graph, shares, dtype, 'shares'), v, false, 'attn_blocks');
    graph.addReshape(sums, 'attn_places', [dim(0, 1), dim(2)]);
    const heads = gatherRows(graph, 'attn_places', SOUND_BLOCKS.results, 'attn_heads');
    graph.addReshape(heads, 'attn_rows', [dim(0), dim(1, 2)]);
    return buildLinear(graph, this.out, 'attn_rows', 'attn_out');
  }

  /**
   * Of each query and key of a block the product of the query with the vector of their distance: [B * heads, span,
   * span].
   */
  private buildDistancesGraph(graph: AtbGraph): string {
    const vectors = gatherRows(graph, this.distances.name, SOUND_BLOCKS.distances, 'distance_vectors');
    // For queries of one place of all blocks and heads, the vectors are the same.
    transpose(graph, [1, 0, 2, 3], 'q_of_heads', 'q_of_places');
    graph.addReshape('q_of_places', 'place_queries', [dim(0), dim(1, 2), dim(3)]);
    const products = multiplied(graph, 'place_queries', vectors, true, 'distance_products');
    return transpose(graph, [1, 0, 2], products, 'distance_scores');
  }
}

/** [B, span, heads, headDim] -> [B * heads, span, headDim]. */
function buildHeadsGraph(graph: AtbGraph, of: string): string {
  transpose(graph, [0, 2, 1, 3], `${of}_of_heads`, `${of}_head_blocks`);
  graph.addReshape(`${of}_head_blocks`, `${of}_heads`, [dim(0, 1), dim(2), dim(3)]);
  return `${of}_heads`;
}

function transpose(graph: AtbGraph, perm: readonly number[], input: string, out: string): string {
  graph.addOperation(new BaseOperation('Transpose', { perm }, `${out}_transpose`), [input], [out]);
  return out;
}

/** The products of batches of matrices, the second perhaps turned. */
function multiplied(graph: AtbGraph, a: string, b: string, transposeB: boolean, out: string): string {
  const linear = new BaseOperation('Linear', { transposeB, hasBias: false }, `${out}_linear`);
  graph.addOperation(linear, [a, b], [out]);
  return out;
}
