import type { DecoderConfig } from '../../layers/config/index.js';
import type { LayerStep } from '../../layers/decoder/decoder-layers.js';
import type { SparseMLP } from '../../layers/experts/experts.js';
import type { Weights } from '../../weights/weights.js';
import type { HeadOptions } from '../base/flash-for-causal-lm-atb.js';
import { FlashLlamaForCausalLMATB } from './flash-causal-llama-atb.js';
import { LlamaLayer, type MakeLayer } from './modeling-llama-atb.js';

export interface SparseLlamaConfig extends DecoderConfig {
  /** For each layer, whether its MLP is experts; all are when absent. */
  readonly sparseLayers?: readonly boolean[];
}

/** What a family's layers are made of. */
export interface SparseLlamaParts {
  /** Llama's when absent. `weights` is the attention's cursor. `variant` tells layers of another structure apart. */
  selfAttn?(layerId: number, weights: Weights): LayerStep;
  variant?(layerId: number): string;
  /** `weights` is the cursor of the MLP. */
  experts(weights: Weights): SparseMLP;
  /** The checkpoint's name of the MLP; `mlp` when absent. */
  readonly mlpName?: string;
  /** How the head differs from Llama's. */
  readonly head?: HeadOptions;
}

/** Layers with experts in place of some or all MLPs. */
export const sparseLayers =
  (config: SparseLlamaConfig, { selfAttn, variant, experts, mlpName = 'mlp' }: SparseLlamaParts): MakeLayer =>
  (layerId, at) => {
    const attention = selfAttn && { selfAttn: selfAttn(layerId, at.at('self_attn')) };
    const own = variant?.(layerId) ?? '';
    return config.sparseLayers?.[layerId] === false
      ? new LlamaLayer(layerId, config, at, { ...attention, variant: own === '' ? 'dense' : `dense_${own}` })
      : new LlamaLayer(layerId, config, at, { ...attention, variant: own, mlp: experts(at.at(mlpName)) });
  };

/** A Llama with experts in place of some or all MLPs. */
export abstract class FlashSparseLlamaATB<C extends SparseLlamaConfig> extends FlashLlamaForCausalLMATB<C> {
  abstract override readonly name: string;

  constructor(config: C, weights: Weights, parts: SparseLlamaParts) {
    super(config, weights, sparseLayers(config, parts), parts.head);
  }
}
