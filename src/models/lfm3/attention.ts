import type { AtbGraph } from '../../graph/atb-graph.js';
import type { Qkv } from '../../layers/base-attention.js';
import { GatedAttention } from '../../layers/gated-attention.js';
import type { Weights } from '../../weights/weights.js';
import { type NormedHeadsConfig, qwen3Norms } from '../qwen3/index.js';

/** Qwen3's attention, where each head's result is multiplied by a sigmoid of the input. */
export class HeadGatedAttention extends GatedAttention {
  /** Throws what `BaseAttention` throws. */
  constructor(layerId: number, config: NormedHeadsConfig, weights: Weights) {
    const gate = { name: 'gate_proj', perHead: true };
    super(layerId, config, weights, qwen3Norms(config, weights), gate);
  }

  protected override buildPositionGraph(graph: AtbGraph, q: string, k: string): Omit<Qkv, 'v'> {
    return this.buildRopeGraph(graph, q, k);
  }
}
