import type { GraphSpec } from '../graph-spec.js';

/** A rewrite of a graph for the engine: pure, so its input stays as it was. */
export interface GraphPass {
  readonly name: string;
  /** What it does, in one sentence, for listings. */
  readonly summary: string;
  /** Rewrites one graph; sub-graphs were rewritten before. Returns the same object when nothing changes. */
  rewrite(spec: GraphSpec): GraphSpec;
}
