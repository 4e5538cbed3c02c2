import type { GraphSpec } from '../graph-spec.js';

/** Where a graph stands that a pass looks at. */
export interface GraphPlace {
  /** The whole graph, no part of another. */
  readonly isRoot: boolean;
}

/** A rewrite of a graph for the engine: pure, so its input stays as it was. */
export interface GraphPass {
  readonly name: string;
  /** What it does, in one sentence, for listings. */
  readonly summary: string;
  /**
   * Rewrites one graph; sub-graphs were rewritten before. Returns the same object when nothing changes. An input that it
   * adds to a sub-graph is the tensor of that name in the graph around it, which gets such an input where it has none.
   */
  rewrite(spec: GraphSpec, place: GraphPlace): GraphSpec;
}
