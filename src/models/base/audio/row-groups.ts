import { type AtbGraph, dim } from '../../../graph/atb-graph.js';
import type { GraphKind } from '../../../graph/graph-kind.js';
import { BaseLayer } from '../../../layers/decoder/base-layer.js';
import type { LayerStep } from '../../../layers/decoder/decoder-layers.js';
import { gatherRows } from '../../../layers/formulas/gather-rows.js';
import type { BaseNorm } from '../../../layers/norms/norms.js';
import { MERGED_PATCHES } from '../../../step-inputs/index.js';
import type { Weights } from '../../../weights/weights.js';

/** Rows are normed, and `merged_patches` of them side by side become a token: [rows, hidden] -> [tokens, out]. */
export class RowGroups extends BaseLayer {
  /** `layerId`: behind the last layer of the encoder. */
  constructor(
    layerId: number,
    weights: Weights,
    readonly norm: BaseNorm,
    readonly projector: LayerStep,
  ) {
    super(layerId, weights, 'projector');
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    gatherRows(graph, this.norm.buildGraph(graph, hidden), MERGED_PATCHES, 'grouped_hidden');
    graph.addReshape('grouped_hidden', 'grouped_rows', [dim(0), dim(1, 2)]);
    return this.projector.buildGraph(graph, kind, 'grouped_rows');
  }
}
