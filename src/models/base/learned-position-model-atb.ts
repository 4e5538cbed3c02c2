import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { LearnedPositions } from '../../layers/decoder/learned-positions.js';
import { OBJECT, requireArgument } from '../../require-argument.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB, type ModelParts, type ModelSizes } from './base-model-atb.js';

/** The parts of a model that learns its positions. */
export interface LearnedPositionParts extends ModelParts {
  readonly positions: {
    /** The checkpoint's name of the table. */
    readonly name: string;
    /** Its row of position 0: 0 when absent. */
    readonly firstRow?: number;
  };
}

/** A model that adds a learned embedding of each position to that of the token, and turns nothing. */
export class LearnedPositionModelATB extends BaseModelATB {
  readonly positions: LearnedPositions;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    config: ModelSizes & { readonly learnedPositions: number },
    weights: Weights,
    given: LearnedPositionParts,
  ) {
    requireArgument(`new ${new.target.name}`, 'the parts', OBJECT, given);
    const { positions, ...parts } = given;
    requireArgument(`new ${new.target.name}`, 'positions', OBJECT, positions);
    const { name, firstRow } = positions;
    super(config, weights, parts);
    const { learnedPositions: count, hiddenSize } = config;
    this.positions = new LearnedPositions(weights.at(name), { count, hiddenSize, firstRow });
  }

  /** Whatever stands in the place of a word has a position, too. */
  override buildInputGraph(graph: AtbGraph, kind: GraphKind, embeddings?: string): string {
    return this.positions.buildGraph(graph, super.buildInputGraph(graph, kind, embeddings));
  }
}
