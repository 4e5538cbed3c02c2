import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import type { Weights } from '../../weights/weights.js';
import type { AttentionConfig } from '../attention-config.js';
import type { CacheRef } from '../cache-ref.js';
import { buildLinear } from '../linear/linear-steps.js';
import { HeadNorm } from '../norms/norms.js';
import { type AttentionOptions, BaseAttention } from './base-attention.js';

/** Keys and values as a layer attends to them, which others may borrow: the latter are [tokens, heads, headDim]. */
export const LENT = ['k_rope', 'v_norm_heads_out'] as const;

/** Attention to the keys and values of an earlier layer, which it puts into the same cache once more. */
export class BorrowingAttention extends BaseAttention {
  readonly qNorm: HeadNorm;

  /** `options.cache`: that layer's. Throws what `BaseAttention` throws. */
  constructor(
    layerId: number,
    config: AttentionConfig & { readonly rmsNormEps: number },
    weights: Weights,
    options: AttentionOptions & { readonly cache: CacheRef },
  ) {
    super(layerId, config, weights, options);
    const heads = config.numAttentionHeads;
    this.qNorm = new HeadNorm(weights.at('q_norm'), { ...config, heads }, config.rmsNormEps);
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const [k, v] = LENT.map((name) => `borrowed_${name}`) as [string, string];
    const queries = this.qNorm.buildGraph(graph, buildLinear(graph, this.qkv, input, 'q'));
    // ATB rotates keys along; what becomes of these is not read.
    const { q } = this.buildRopeGraph(graph, queries, k);
    return this.buildDenseGraph(graph, kind, this.buildAttentionGraph(graph, kind, { q, k, v }));
  }
}
