import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import type { AttentionOptions } from '../../layers/attention/base-attention.js';
import type { AttentionConfig } from '../../layers/attention-config.js';
import type { BaseConfig } from '../../layers/config/index.js';
import { type LayerStep, PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { BaseMLP, type MLPConfig } from '../../layers/mlp/mlp.js';
import type { NormStep } from '../../layers/norms/norms.js';
import { OBJECT, requireArgument } from '../../require-argument.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from './base-model-atb.js';
import { FlashForCausalLMATB } from './flash-for-causal-lm-atb.js';

/** What a Llama with other norms is told by the configuration. */
export type NormedLlamaConfig = BaseConfig & AttentionConfig & MLPConfig;

/** What stands in place of Llama's parts. */
export interface NormedLlamaParts {
  /** `weights` is the norm's cursor. */
  norm(weights: Weights): NormStep;
  /** Llama's when absent. `weights` is the MLP's cursor. */
  mlp?(weights: Weights): LayerStep;
  /** How attention differs from Llama's. */
  readonly attention?: AttentionOptions;
}

/** A Llama with norms of another kind, and perhaps MLPs. */
export abstract class FlashNormedLlamaATB<C extends NormedLlamaConfig> extends FlashForCausalLMATB<C> {
  protected readonly model: BaseModelATB;

  constructor(config: C, weights: Weights, parts: NormedLlamaParts) {
    requireArgument(`new ${new.target.name}`, 'the parts', OBJECT, parts);
    const { norm, mlp, attention } = parts;
    super(config, weights);
    const inner = weights.at('model');
    this.model = new BaseModelATB(config, inner, {
      layer: (layerId, at) =>
        new PreNormLayer(layerId, at, {
          inputLayernorm: norm(at.at('input_layernorm')),
          selfAttn: new RotaryAttention(layerId, config, at.at('self_attn'), attention),
          postAttentionLayernorm: norm(at.at('post_attention_layernorm')),
          mlp: mlp?.(at.at('mlp')) ?? new BaseMLP(config, at.at('mlp')),
        }),
      norm: norm(inner.at('norm')),
    });
  }
}
