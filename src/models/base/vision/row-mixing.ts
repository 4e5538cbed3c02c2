import type { AtbGraph } from '../../../graph/atb-graph.js';
import type { GraphKind } from '../../../graph/graph-kind.js';
import { BaseLayer } from '../../../layers/decoder/base-layer.js';
import { sumOfRows } from '../../../layers/formulas/gather-rows.js';
import { PACKED_ROWS } from '../../../step-inputs/index.js';
import type { Weights } from '../../../weights/weights.js';

/**
 * Tokens as means of an encoder's rows, or as these are: [rows, hidden] -> [tokens, hidden]. It reads what
 * `packedRows` brings.
 */
export class RowMixing extends BaseLayer {
  /** `layerId`: behind the last layer of the encoder. */
  constructor(layerId: number, weights: Weights) {
    super(layerId, weights, 'mixing');
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    const shares = PACKED_ROWS.map(({ rows, shares: weights }) => ({ rows, weights }));
    return sumOfRows(graph, hidden, shares, 'mixed_rows');
  }
}
