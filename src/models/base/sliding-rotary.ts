import { CommonOpBuilderManager } from '../../common-op-builders/index.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import { NormedRotaryAttention } from '../../layers/attention-orders.js';
import type { RotaryRows } from '../../layers/base-attention.js';
import type { RopeConfig, RotaryTables } from '../../step-inputs/index.js';

/** The rows for layers with a window, where these have a rotary embedding of their own: [tokens, headDim] each. */
export const SLIDING_ROTARY_ROWS: RotaryRows = { cos: 'sliding_cos_embedding', sin: 'sliding_sin_embedding' };

/** The tables of that embedding. */
export const slidingRotaryTables = (rope: RopeConfig): RotaryTables => ({
  rope,
  cos: 'sliding_cos_table',
  sin: 'sliding_sin_table',
});

/**
 * `position_ids` [tokens] -> the rows that layers read: those of `buildFullGraph` when one has no window,
 * SLIDING_ROTARY_ROWS when one has. Rows that no layer reads have no place in a graph.
 */
export function buildRotaryGraphs(
  graph: AtbGraph,
  slidingWindows: readonly (number | undefined)[],
  buildFullGraph: () => void,
): void {
  if (slidingWindows.includes(undefined)) buildFullGraph();
  if (slidingWindows.every((size) => size === undefined)) return;
  CommonOpBuilderManager.getBuilder({
    category: 'POSITIONAL_EMBEDDING',
    opName: 'sliding_positional_embedding',
  }).build(graph, {
    positionIds: 'position_ids',
    cosTable: 'sliding_cos_table',
    sinTable: 'sliding_sin_table',
    cosEmbedding: SLIDING_ROTARY_ROWS.cos,
    sinEmbedding: SLIDING_ROTARY_ROWS.sin,
  });
}

/** The attention of layers with a window, which turn by rows of their own. */
export class SlidingRotaryAttention extends NormedRotaryAttention {
  override buildRopeGraph(graph: AtbGraph, q: string, k: string) {
    return super.buildRopeGraph(graph, q, k, SLIDING_ROTARY_ROWS);
  }
}
