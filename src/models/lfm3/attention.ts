import { GatedRotaryAttention } from '../../layers/attention/gated-attention.js';
import type { Weights } from '../../weights/weights.js';
import { type NormedHeadsConfig, qwen3Norms } from '../qwen3/index.js';

/** Qwen3's attention, where each head's result is multiplied by a sigmoid of the input. */
export class HeadGatedAttention extends GatedRotaryAttention {
  /** Throws what `BaseAttention` throws. */
  constructor(layerId: number, config: NormedHeadsConfig, weights: Weights) {
    const gate = { name: 'gate_proj', perHead: true };
    super(layerId, config, weights, qwen3Norms(config, weights), gate);
  }
}
