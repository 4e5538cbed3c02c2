import { type AtbGraph, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { MERGED_PATCHES } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import type { Idefics3Config } from './config.js';

/** The patches of a block side by side, brought to the size of words: [patches, hidden] -> [tokens, out]. */
export class Connector extends BaseLayer {
  readonly proj: Linear;

  constructor({ vision, hiddenSize: outFeatures, mergeSize }: Idefics3Config, weights: Weights) {
    super(vision.numLayers, weights, 'connector');
    const inFeatures = mergeSize ** 2 * vision.hiddenSize;
    this.proj = Linear.load(weights, { parts: [{ name: 'proj', outFeatures }], inFeatures });
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    gatherRows(graph, hidden, MERGED_PATCHES, 'merged_hidden');
    graph.addReshape('merged_hidden', 'merged_rows', [dim(0), dim(1, 2)]);
    return buildLinear(graph, this.proj, 'merged_rows', 'connector_out');
  }
}
