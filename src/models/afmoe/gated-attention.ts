import type { AtbGraph } from '../../graph/atb-graph.js';
import type { Qkv } from '../../layers/attention/base-attention.js';
import { GatedAttention } from '../../layers/attention/gated-attention.js';
import type { Weights } from '../../weights/weights.js';
import { type NormedHeadsConfig, qwen3Norms } from '../qwen3/index.js';

/** Gated attention with norms of queries and keys. Layers without a window know no positions. */
export class AfmoeAttention extends GatedAttention {
  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(layerId: number, config: NormedHeadsConfig, weights: Weights) {
    super(layerId, config, weights, qwen3Norms(config, weights), { name: 'gate_proj' });
  }

  protected override buildPositionGraph(graph: AtbGraph, q: string, k: string): Omit<Qkv, 'v'> {
    return this.windowSize === undefined ? { q, k } : this.buildRopeGraph(graph, q, k);
  }
}
