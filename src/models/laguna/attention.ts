import type { FloatDType } from '../../dtype.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import { GatedRotaryAttention } from '../../layers/attention/gated-attention.js';
import { addSoftplus } from '../../layers/formulas/softplus.js';
import type { Weights } from '../../weights/weights.js';
import { qwen3Norms } from '../qwen3/index.js';
import type { LagunaConfig } from './config-laguna.js';

/** Qwen3's attention with as many heads of queries as its layer has, times softplus of a projection of its input. */
export class LagunaAttention extends GatedRotaryAttention {
  /** What the model runs in. */
  private readonly dtype: FloatDType;

  /** Throws what `BaseAttention` throws. */
  constructor(layerId: number, config: LagunaConfig, weights: Weights) {
    const numAttentionHeads = config.headsByLayer[layerId] ?? config.numAttentionHeads;
    const rope = config.slidingWindows[layerId] === undefined ? config.rope : config.slidingRope;
    const sizes = { ...config, numAttentionHeads };
    const gate = { name: 'g_proj', perHead: config.gatesHeads };
    super(layerId, sizes, weights, qwen3Norms({ ...sizes, rope }, weights), gate);
    this.dtype = weights.dtype ?? 'bf16';
  }

  protected override buildGateGraph(graph: AtbGraph, projected: string): string {
    return addSoftplus(graph, projected, this.dtype, 'gate_softplus');
  }
}
