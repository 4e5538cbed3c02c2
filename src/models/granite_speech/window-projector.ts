import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { Module } from '../../layers/module.js';
import { QUERIED_WINDOWS } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import { asTable, constantWeight } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { QFormer } from '../base/q-former.js';
import type { ProjectorConfig } from './config.js';

/** What queries look at: rows of all windows, those behind a sound's last being zeros. */
const SEEN_ROWS = 'window_hidden';

/** Some learned queries look at each window of an encoder's rows, and become tokens: [rows, seen] -> [windows * queries, out]. */
export class WindowProjector extends Module {
  readonly qFormer: QFormer;
  readonly linear: Linear;
  private readonly query: TensorRef;
  private readonly zeros: TensorRef;

  /** `firstId`: of its first layer. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    firstId: number,
    config: ProjectorConfig,
    weights: Weights,
    { queries, outSize }: { readonly queries: number; readonly outSize: number },
  ) {
    super();
    const { hiddenSize: inFeatures, seenSize } = config;
    this.query = asTable(weights.get('query', [1, queries, inFeatures]));
    this.zeros = constantWeight(weights.path('row_behind'), [1, seenSize], 0);
    this.qFormer = new QFormer(config, weights.at('qformer'), { firstId, seen: SEEN_ROWS });
    const parts = [{ name: 'linear', outFeatures: outSize }] as const;
    this.linear = Linear.load(weights, { parts, inFeatures, hasBias: true });
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.query, this.zeros];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, rows: string): string {
    const concat = new BaseOperation('Concat', { concatDim: 0 }, 'padded_rows');
    graph.addOperation(concat, [rows, this.zeros.name], ['padded_rows']);
    gatherRows(graph, 'padded_rows', QUERIED_WINDOWS.rows, SEEN_ROWS);
    const queries = gatherRows(graph, this.query.name, QUERIED_WINDOWS.queries, 'window_states');
    return buildLinear(graph, this.linear, this.qFormer.buildGraph(graph, kind, queries), 'projector_out');
  }
}
