import type { FloatDType } from '../../../dtype.js';
import { type AtbGraph, BaseOperation, dim } from '../../../graph/atb-graph.js';
import type { GraphKind } from '../../../graph/graph-kind.js';
import type { LayerStep } from '../../../layers/decoder/decoder-layers.js';
import { addNarrowed, addWidened } from '../../../layers/formulas/casts.js';
import { gatherRows } from '../../../layers/formulas/gather-rows.js';
import { addResidual, addScaled } from '../../../layers/formulas/residual.js';
import { addSoftplus } from '../../../layers/formulas/softplus.js';
import { buildLinear } from '../../../layers/linear/linear-steps.js';
import { Module } from '../../../layers/module.js';
import { ENCODER_SINUSOIDS, SOUND_CONTEXT } from '../../../step-inputs/index.js';
import { Linear } from '../../../weights/linear.js';
import type { TensorRef, Weights } from '../../../weights/weights.js';
import type { MakesProduct, RowProduct } from './conformer.js';

/** What such attention is told. */
export interface RelativeAttentionSizes {
  readonly hiddenSize: number;
  readonly numHeads: number;
  readonly softcap: number;
  /** What keys are multiplied by. */
  readonly keyScale: number;
}

/** Where the checkpoint has its tensors. */
export interface RelativeAttentionWeights {
  /** Of queries, keys, values, and of `per_dim_scale`. */
  readonly projections: Weights;
  /** Of what is behind attention, `post`. */
  readonly result: Weights;
  /** Of the projection of distances, and its name. */
  readonly distances: readonly [at: Weights, name: string];
}

/**
 * Attention of rows of a sound to themselves and to some before them, block by block. To the product of a query and a key is
 * added that of the query and the projected vector of their distance (arXiv:1901.02860, appendix B).
 */
export class RelativeAttention extends Module implements LayerStep {
  readonly q: RowProduct;
  readonly k: RowProduct;
  readonly v: RowProduct;
  readonly post: RowProduct;
  readonly distances: Linear;
  private readonly scales: TensorRef;
  private readonly headDim: number;
  private readonly dtype: FloatDType;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(
    private readonly sizes: RelativeAttentionSizes,
    { projections, result, distances }: RelativeAttentionWeights,
    product: MakesProduct,
  ) {
    super();
    const { hiddenSize, numHeads } = sizes;
    const square = { inFeatures: hiddenSize, outFeatures: hiddenSize };
    this.dtype = projections.dtype ?? 'bf16';
    this.headDim = hiddenSize / numHeads;
    this.q = product('q', projections, 'q_proj', square);
    this.k = product('k', projections, 'k_proj', square);
    this.v = product('v', projections, 'v_proj', square);
    this.post = product('post', result, 'post', square);
    const [at, name] = distances;
    this.distances = Linear.load(at, { parts: [{ name, outFeatures: hiddenSize }], inFeatures: hiddenSize });
    this.scales = projections.get('per_dim_scale', [this.headDim]);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.scales];
  }

  /** `input` [rows, hidden] -> the tensor whose name is returned, of the same shape. */
  buildGraph(graph: AtbGraph, _kind: GraphKind, input: string): string {
    const shares = this.buildSharesGraph(graph, input);
    const values = this.buildBlocksGraph(graph, this.v.buildGraph(graph, input), SOUND_CONTEXT.keys, 'v');
    const sums = multiplied(graph, shares, blocksIn(graph, values), false, 'attn_blocks');
    graph.addReshape(sums, 'attn_queries', [dim(0, 1), dim(2)]);
    const heads = gatherRows(graph, 'attn_queries', SOUND_CONTEXT.results, 'attn_heads');
    graph.addReshape(heads, 'attn_out', [dim(0), dim(1, 2)]);
    return this.post.buildGraph(graph, 'attn_out');
  }

  /** How much each query counts each key: [heads * blocks, queries, keys]. */
  private buildSharesGraph(graph: AtbGraph, input: string): string {
    const { dtype } = this;
    const { softcap, keyScale } = this.sizes;
    const queries = this.buildQueriesGraph(graph, input);
    const k = this.k.buildGraph(graph, input);
    const scaled = keyScale === 1 ? k : addScaled(graph, k, keyScale, 'k_scaled');
    const keys = this.buildBlocksGraph(graph, scaled, SOUND_CONTEXT.keys, 'k');
    const products = multiplied(graph, blocksIn(graph, queries), blocksIn(graph, keys), true, 'products');
    const sum = addResidual(
      graph,
      addWidened(graph, products, dtype, 'products_wide'),
      addWidened(graph, this.buildDistancesGraph(graph, queries), dtype, 'distances_wide'),
      'scores',
    );
    // cap * tanh(x / cap), but for a number that is the same of all keys; ATB has tanh of 16 bits alone.
    const share = addScaled(graph, sum, 2 / softcap, 'scores_scaled');
    graph.addOperation(new BaseOperation('Sigmoid', {}, 'scores_sigmoid'), [share], ['scores_bounded']);
    const bounded = addScaled(graph, 'scores_bounded', 2 * softcap, 'scores_capped');
    const masked = addResidual(graph, bounded, SOUND_CONTEXT.mask, 'scores_masked');
    const out = dtype === 'f32' ? 'shares' : 'shares_wide';
    graph.addOperation(new BaseOperation('Softmax', { axes: [-1] }, 'scores_softmax'), [masked], [out]);
    return addNarrowed(graph, out, dtype, 'shares');
  }

  /** `input` [rows, hidden] -> [heads, blocks, queries, headDim]: each dimension has a scale of its own. */
  private buildQueriesGraph(graph: AtbGraph, input: string): string {
    const { dtype, headDim } = this;
    graph.addReshape(this.q.buildGraph(graph, input), 'q_of_heads', [dim(0), this.sizes.numHeads, headDim]);
    const growth = addSoftplus(graph, this.scales.name, dtype, 'dim_scales');
    const scales = addScaled(graph, growth, 1 / (Math.sqrt(headDim) * Math.LN2), 'query_scales');
    const multiply = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, 'q_mul');
    graph.addOperation(multiply, ['q_of_heads', scales], ['q_scaled_heads']);
    graph.addReshape('q_scaled_heads', 'q_scaled', [dim(0), dim(1, 2)]);
    return this.buildBlocksGraph(graph, 'q_scaled', SOUND_CONTEXT.queries, 'q');
  }

  /** Of each query and key the product of the query with the vector of their distance: [heads * blocks, queries, keys]. */
  private buildDistancesGraph(graph: AtbGraph, queries: string): string {
    const vectors = buildLinear(graph, this.distances, ENCODER_SINUSOIDS, 'distance_vectors');
    graph.addReshape(vectors, 'distances_of_heads', [dim(0), this.sizes.numHeads, this.headDim]);
    const transpose = new BaseOperation('Transpose', { perm: [1, 0, 2] }, 'distances_transpose');
    graph.addOperation(transpose, ['distances_of_heads'], ['distance_keys']);
    graph.addReshape(queries, 'queries_of_heads', [dim(0), dim(1, 2), dim(3)]);
    const products = multiplied(graph, 'queries_of_heads', 'distance_keys', true, 'distance_products');
    graph.addReshape(products, 'distance_list', [dim(0, 1, 2)]);
    return gatherRows(graph, 'distance_list', SOUND_CONTEXT.distances, 'distance_scores');
  }

  /** `input` [rows, hidden], `places` [heads, blocks, n] -> [heads, blocks, n, headDim]. */
  private buildBlocksGraph(graph: AtbGraph, input: string, places: string, name: string): string {
    graph.addReshape(input, `${name}_rows_of_heads`, [dim(0), this.sizes.numHeads, this.headDim]);
    graph.addReshape(`${name}_rows_of_heads`, `${name}_head_rows`, [dim(0, 1), dim(2)]);
    return gatherRows(graph, `${name}_head_rows`, places, `${name}_blocks`);
  }
}

/** [heads, blocks, n, headDim] -> [heads * blocks, n, headDim]. */
function blocksIn(graph: AtbGraph, blocks: string): string {
  graph.addReshape(blocks, `${blocks}_list`, [dim(0, 1), dim(2), dim(3)]);
  return `${blocks}_list`;
}

/** The products of batches of matrices, the second perhaps turned. */
function multiplied(graph: AtbGraph, a: string, b: string, transposeB: boolean, out: string): string {
  const linear = new BaseOperation('Linear', { transposeB, hasBias: false }, `${out}_linear`);
  graph.addOperation(linear, [a, b], [out]);
  return out;
}
