import type { AtbGraph } from '../../graph/atb-graph.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import type { LatentAttentionConfig } from '../attention-config.js';
import { addGatedHeads, addSigmoid } from '../linear/gate.js';
import { buildLinear } from '../linear/linear-steps.js';
import { LatentAttention, type LatentOptions } from './latent-attention.js';

/** Latent attention whose heads are multiplied by sigmoids of a projection of its input, `g_proj` [heads, hidden]. */
export class GatedLatentAttention extends LatentAttention {
  readonly gate: Linear;

  /** Throws what `LatentAttention` throws. */
  constructor(layerId: number, config: LatentAttentionConfig, weights: Weights, options?: LatentOptions) {
    super(layerId, config, weights, options);
    const { hiddenSize: inFeatures, numAttentionHeads: outFeatures } = config;
    this.gate = Linear.load(weights, { parts: [{ name: 'g_proj', outFeatures }], inFeatures });
  }

  protected override buildGatedGraph(graph: AtbGraph, attended: string, input: string): string {
    const gate = addSigmoid(graph, buildLinear(graph, this.gate, input, 'gate_out'));
    const { numAttentionHeads, vHeadDim: headDim } = this.config;
    return addGatedHeads(graph, attended, gate, { numAttentionHeads, headDim });
  }
}
