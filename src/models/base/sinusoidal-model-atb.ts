import type { AtbGraph } from '../../graph/atb-graph.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { SINUSOIDS } from '../../step-inputs/index.js';
import { BaseModelATB } from './base-model-atb.js';

/** Embeddings, to which sines and cosines of positions are added: the step input `sinusoids`. */
export class SinusoidalModelATB extends BaseModelATB {
  override buildWordEmbeddingGraph(graph: AtbGraph): string {
    const hidden = super.buildWordEmbeddingGraph(graph);
    const rows = gatherRows(graph, SINUSOIDS, 'position_ids', 'position_rows');
    return addResidual(graph, hidden, rows, 'positioned_hidden_states');
  }
}
