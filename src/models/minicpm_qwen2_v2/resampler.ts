import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { attendWithQueries } from '../../layers/attention/query-attention.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { RESAMPLING } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import { consecutiveRows } from '../../weights/row-orders.js';
import type { TensorRef, Weights } from '../../weights/weights.js';

/** Of its norms. */
const EPSILON = 1e-6;
/** Heads have so many numbers, whatever the width. */
const HEAD_DIM = 128;

export interface ResamplerSizes {
  /** Of patches. */
  readonly inSize: number;
  /** Of tokens. */
  readonly outSize: number;
  readonly queries: number;
}

/** Tensors whose names do not end as those of linears do. */
const NAMES = {
  'attn.in_proj.weight': 'attn.in_proj_weight',
  'attn.in_proj.bias': 'attn.in_proj_bias',
  'proj.weight': 'proj',
};

/**
 * So many learned queries attend to the patches of each picture, and become its tokens: [patches, in] ->
 * [pictures * queries, out]. Keys know the places of patches, values do not (arXiv:2308.12966, section 2.1; in two
 * dimensions as the published resampler.py).
 */
export class Resampler extends BaseLayer {
  readonly query: TensorRef;
  readonly kvProj: Linear | undefined;
  readonly lnQ: BaseLayerNorm;
  readonly lnKv: BaseLayerNorm;
  readonly q: Linear;
  readonly k: Linear;
  readonly v: Linear;
  readonly dense: Linear;
  readonly lnPost: BaseLayerNorm;
  readonly proj: Linear;
  private readonly heads: number;
  private readonly width: number;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(layerId: number, given: Weights, { inSize, outSize: width, queries }: ResamplerSizes) {
    super(layerId, given, 'resampler');
    const weights = given.withNames(NAMES);
    const norm = (name: string) => new BaseLayerNorm(weights.at(name), width, EPSILON, { hasBias: true });
    const attn = weights.at('attn');
    const [q, k, v] = consecutiveRows([width, width, width]).map((rows, index) =>
      Linear.load(attn, {
        name: `in_proj.${'qkv'[index]}`,
        parts: [{ name: 'in_proj', outFeatures: width, rows }],
        inFeatures: width,
        hasBias: true,
      }),
    ) as [Linear, Linear, Linear];
    [this.q, this.k, this.v] = [q, k, v];
    this.width = width;
    this.heads = Math.max(1, Math.floor(width / HEAD_DIM));
    this.query = weights.get('query', [queries, width]);
    this.kvProj =
      inSize === width
        ? undefined
        : Linear.load(weights, { parts: [{ name: 'kv_proj', outFeatures: width }], inFeatures: inSize });
    this.lnQ = norm('ln_q');
    this.lnKv = norm('ln_kv');
    this.dense = Linear.load(attn, {
      parts: [{ name: 'out_proj', outFeatures: width }],
      inFeatures: width,
      hasBias: true,
    });
    this.lnPost = norm('ln_post');
    // The checkpoint's is [in, out].
    this.proj = Linear.load(weights, {
      parts: [{ name: 'proj', outFeatures: width, transposed: true }],
      inFeatures: width,
    });
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.query];
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const input = this.kvProj ? buildLinear(graph, this.kvProj, hidden, 'kv_proj_out') : hidden;
    const values = this.lnKv.buildGraph(graph, input);
    const keys = addResidual(graph, values, this.buildPlacesGraph(graph), 'placed_patches');
    const queries = buildLinear(graph, this.q, this.lnQ.buildGraph(graph, this.query.name), 'query_out');
    const heads = { headNum: this.heads, headDim: this.width / this.heads };
    const found = attendWithQueries(graph, kind, 'attention', heads, {
      q: gatherRows(graph, queries, RESAMPLING.queries, 'q'),
      k: buildLinear(graph, this.k, keys, 'key_out'),
      v: buildLinear(graph, this.v, values, 'value_out'),
      seqLen: RESAMPLING.lens,
      attentionOut: 'attn_out',
    });
    const attended = buildLinear(graph, this.dense, found, 'dense_out');
    return buildLinear(graph, this.proj, this.lnPost.buildGraph(graph, attended), 'proj_out');
  }

  /** Of each patch what its column and its row come to, side by side: [patches, out]. */
  private buildPlacesGraph(graph: AtbGraph): string {
    const halves = [
      gatherRows(graph, RESAMPLING.table, RESAMPLING.columns, 'column_places'),
      gatherRows(graph, RESAMPLING.table, RESAMPLING.rows, 'row_places'),
    ];
    graph.addOperation(new BaseOperation('Concat', { concatDim: 1 }, 'places'), halves, ['places']);
    return 'places';
  }
}
