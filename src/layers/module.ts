import type { Phase } from '../common-op-builders/index.js';
import type { AtbGraph } from '../graph/atb-graph.js';
import type { TensorRef } from '../weights/weights.js';

/** A piece of a model: owns weights, and knows how to add itself to a graph. */
export interface Module {
  /** Weights in the order in which graphs declare them. */
  getWeights(): TensorRef[];
  buildGraph(graph: AtbGraph, phase: Phase): void;
}
