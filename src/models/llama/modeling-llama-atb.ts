import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import type { DecoderConfig } from '../../layers/config/index.js';
import { type BaseLayer, slidingVariant } from '../../layers/decoder/base-layer.js';
import { type LayerStep, PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';

export class LlamaAttention extends RotaryAttention {}

/** The parts of a layer that a variant may replace. */
export interface LlamaLayerParts {
  readonly selfAttn?: LayerStep;
  readonly mlp?: LayerStep;
  /** Tells layers of another structure apart, beside those with a window. */
  readonly variant?: string;
}

export class LlamaLayer extends PreNormLayer {
  constructor(layerId: number, config: DecoderConfig, weights: Weights, parts: LlamaLayerParts = {}) {
    const norm = (name: string) => new BaseRMSNorm(weights.at(name), config.hiddenSize, config.rmsNormEps);
    super(
      layerId,
      weights,
      {
        inputLayernorm: norm('input_layernorm'),
        selfAttn: parts.selfAttn ?? new LlamaAttention(layerId, config, weights.at('self_attn')),
        postAttentionLayernorm: norm('post_attention_layernorm'),
        mlp: parts.mlp ?? new BaseMLP(config, weights.at('mlp')),
      },
      [parts.variant ?? '', slidingVariant(config, layerId)].filter((part) => part !== '').join('_'),
    );
  }
}

/** Makes a layer of a variant of Llama; `weights` is its own cursor. */
export type MakeLayer = (layerId: number, weights: Weights) => BaseLayer;

export class LlamaModelATB extends BaseModelATB {
  /** `layer` makes layers that are not Llama's own. `embeddingScale`: see `ModelParts`. */
  constructor(config: DecoderConfig, weights: Weights, layer?: MakeLayer, embeddingScale?: number) {
    super(config, weights, {
      layer: layer ?? ((layerId, at) => new LlamaLayer(layerId, config, at)),
      norm: new BaseRMSNorm(weights.at('norm'), config.hiddenSize, config.rmsNormEps),
      embeddingScale,
    });
  }
}
