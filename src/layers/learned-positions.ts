import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';
import { rowsOf } from '../weights/weight-changes.js';
import type { TensorRef, Weights } from '../weights/weights.js';
import { Module } from './module.js';
import { addResidual } from './residual.js';

/** What a table of learned positions is. */
export interface LearnedPositionSizes {
  /** Positions that it knows. */
  readonly count: number;
  readonly hiddenSize: number;
  /** The row of position 0: 0 when absent. */
  readonly firstRow?: number | undefined;
}

/** An embedding of each position, which is added to that of the token (arXiv:1810.04805, section 3). */
export class LearnedPositions extends Module {
  /** [positions, hidden]. */
  readonly weight: TensorRef;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH. */
  constructor(weights: Weights, { count, hiddenSize, firstRow = 0 }: LearnedPositionSizes) {
    super();
    const table = weights.get('weight', [firstRow + count, hiddenSize]);
    this.weight = firstRow === 0 ? table : rowsOf(table, firstRow, count, table.name);
  }

  override getWeights(): TensorRef[] {
    return [this.weight];
  }

  /** Adds the rows of `position_ids` [tokens] to `hidden` [tokens, hidden]: the same shape. */
  buildGraph(graph: AtbGraph, hidden: string): string {
    const rows = 'position_embedding';
    const gather = new BaseOperation('Gather', { axis: 0 }, rows);
    graph.addOperation(gather, [this.weight.name, 'position_ids'], [rows]);
    return addResidual(graph, hidden, rows, 'positioned_hidden_states');
  }
}
