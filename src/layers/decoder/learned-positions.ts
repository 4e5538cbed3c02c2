import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import { rowsOf } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { addResidual } from '../formulas/residual.js';
import { Module } from '../module.js';

/** What a table of learned positions is. */
export interface LearnedPositionSizes {
  /** Positions that it knows. */
  readonly count: number;
  readonly hiddenSize: number;
  /** The row of position 0: 0 when absent. */
  readonly firstRow?: number | undefined;
}

/** A table of vectors whose rows are added to the embeddings of tokens. */
export abstract class AddedEmbedding extends Module {
  /** [rows, hidden]. */
  abstract readonly weight: TensorRef;

  /** `indices` is the input [tokens] that says which row each token gets; `name` names what is added, `sum` the result. */
  protected constructor(
    private readonly indices: string,
    private readonly name: string,
    private readonly sum: string,
  ) {
    super();
  }

  override getWeights(): TensorRef[] {
    return [this.weight];
  }

  /** Adds a row for each token to `hidden` [tokens, hidden]: the same shape. */
  buildGraph(graph: AtbGraph, hidden: string): string {
    const gather = new BaseOperation('Gather', { axis: 0 }, this.name);
    graph.addOperation(gather, [this.weight.name, this.indices], [this.name]);
    return addResidual(graph, hidden, this.name, this.sum);
  }
}

/** An embedding of each position, by `position_ids` (arXiv:1810.04805, section 3). */
export class LearnedPositions extends AddedEmbedding {
  readonly weight: TensorRef;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH. */
  constructor(weights: Weights, { count, hiddenSize, firstRow = 0 }: LearnedPositionSizes) {
    super('position_ids', 'position_embedding', 'positioned_hidden_states');
    const table = weights.get('weight', [firstRow + count, hiddenSize]);
    this.weight = firstRow === 0 ? table : rowsOf(table, firstRow, count, table.name);
  }
}

/** An embedding of each type of token, by `token_type_ids`: which text of a pair it belongs to (the same section). */
export class TokenTypes extends AddedEmbedding {
  readonly weight: TensorRef;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH. */
  constructor(weights: Weights, { count, hiddenSize }: Pick<LearnedPositionSizes, 'count' | 'hiddenSize'>) {
    super('token_type_ids', 'token_type_embedding', 'typed_hidden_states');
    this.weight = weights.get('weight', [count, hiddenSize]);
  }
}

/** A vector that is added to the embedding of every token: a row of a table of which models take one alone. */
export class SharedEmbedding extends Module {
  /** [1, hidden] */
  private readonly weight: TensorRef;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH. */
  constructor(
    weights: Weights,
    { count, hiddenSize, row }: { readonly count: number; readonly hiddenSize: number; readonly row: number },
  ) {
    super();
    const table = weights.get('weight', [count, hiddenSize]);
    this.weight = rowsOf(table, row, 1, table.name);
  }

  override getWeights(): TensorRef[] {
    return [this.weight];
  }

  /** `hidden` [tokens, hidden] -> the same shape. */
  buildGraph(graph: AtbGraph, hidden: string): string {
    return addResidual(graph, hidden, this.weight.name, 'shared_hidden_states');
  }
}
