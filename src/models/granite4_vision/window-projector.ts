import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import type { LayerStep } from '../../layers/decoder/decoder-layers.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { addResidual, addScaled } from '../../layers/formulas/residual.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { QUERIED_WINDOWS, QUERY_BLOCKS } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import { asTable } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { QFormer } from '../base/q-former.js';
import type { Granite4VisionConfig, Level } from './config.js';

/** Of the norm of rows. */
const EPSILON = 1e-6;

const rowNorm = (weights: Weights, size: number) => new BaseLayerNorm(weights.at('norm'), size, EPSILON);

/** What queries look at: rows with the learned places that they have in their window, [rows, hidden] -> the same shape. */
class WindowRows extends BaseLayer {
  readonly norm: BaseLayerNorm;
  readonly positions: TensorRef;

  constructor(layerId: number, weights: Weights, { hiddenSize, area }: { hiddenSize: number; area: number }) {
    super(layerId, weights, 'window_rows');
    this.norm = rowNorm(weights, hiddenSize);
    this.positions = asTable(weights.get('image_positions', [1, area, hiddenSize]));
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.positions];
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    const places = gatherRows(graph, this.positions.name, QUERY_BLOCKS.places, 'place_rows');
    return addResidual(graph, this.norm.buildGraph(graph, hidden), places, 'placed_rows');
  }
}

/**
 * What queries begin with: learned rows, and of the block that each stands for the mean, or one of its corners: [rows, hidden] ->
 * [queries, hidden].
 */
class WindowQueries extends BaseLayer {
  readonly norm: BaseLayerNorm;
  readonly query: TensorRef;
  private readonly area: number;
  private readonly corner: number | undefined;

  constructor(
    layerId: number,
    weights: Weights,
    { windows, qFormer }: Granite4VisionConfig,
    corner?: number,
  ) {
    super(layerId, weights, corner === undefined ? 'queries' : `queries_${corner}`);
    const { querySide, windowSide } = windows;
    this.norm = rowNorm(weights, qFormer.hiddenSize);
    this.query = asTable(weights.get('query', [1, querySide ** 2, qFormer.hiddenSize]));
    this.area = (windowSide / querySide) ** 2;
    this.corner = corner;
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.query];
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    const blocks = gatherRows(graph, this.norm.buildGraph(graph, hidden), QUERY_BLOCKS.rows, 'block_rows');
    const learned = gatherRows(graph, this.query.name, QUERIED_WINDOWS.queries, 'learned_rows');
    return addResidual(graph, learned, this.buildBlockGraph(graph, blocks), 'first_queries');
  }

  /** [queries, area, hidden] -> [queries, hidden]. */
  private buildBlockGraph(graph: AtbGraph, blocks: string): string {
    if (this.corner === undefined) {
      const sum = new BaseOperation('Reduce', { reduceType: 'REDUCE_SUM', axis: [1] }, 'block_sum');
      graph.addOperation(sum, [blocks], ['block_sum']);
      return addScaled(graph, 'block_sum', 1 / this.area, 'block_mean');
    }
    const box = { offsets: [0, this.corner, 0], size: [-1, 1, -1] };
    graph.addOperation(new BaseOperation('Slice', box, 'corner_slice'), [blocks], ['corner_rows']);
    graph.addReshape('corner_rows', 'block_corner', [dim(0), dim(1, 2)]);
    return 'block_corner';
  }
}

/** Windows of an encoder's rows, at which queries look, as vectors for one layer of text: [rows, hidden] -> [queries, out]. */
export class WindowProjector extends Module implements LayerStep {
  readonly rows: WindowRows;
  readonly queries: WindowQueries;
  readonly qFormer: QFormer;
  readonly linear: Linear;
  private readonly name: string;

  /** `firstId`: of its first layer. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(firstId: number, config: Granite4VisionConfig, weights: Weights, { textLayer, corner }: Level) {
    super();
    const { qFormer, windows, hiddenSize: outFeatures } = config;
    const { hiddenSize: inFeatures } = qFormer;
    this.name = `vectors_${textLayer}`;
    this.rows = new WindowRows(firstId, weights, { hiddenSize: inFeatures, area: windows.windowSide ** 2 });
    this.queries = new WindowQueries(firstId + 1, weights, config, corner);
    this.qFormer = new QFormer(qFormer, weights.at('qformer'), {
      firstId: firstId + 2,
      // As the model's graph calls what the layer gives.
      seen: `hidden_states_${firstId + 1}`,
      normName: `${this.name}_norm`,
    });
    const parts = [{ name: 'out_linear', outFeatures }] as const;
    this.linear = Linear.load(weights, { parts, inFeatures, hasBias: true });
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    this.rows.buildGraph(graph, kind, hidden);
    const queries = this.queries.buildGraph(graph, kind, hidden);
    return buildLinear(graph, this.linear, this.qFormer.buildGraph(graph, kind, queries), this.name);
  }
}
