import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import type { AttentionOptions } from '../../layers/attention/base-attention.js';
import type { DecoderConfig } from '../../layers/config/index.js';
import { slidingVariant } from '../../layers/decoder/base-layer.js';
import { type LayerStep, SandwichLayer } from '../../layers/decoder/decoder-layers.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { OffsetRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { GemmaModelATB } from '../gemma/index.js';
import { GEMMA2_CONFIG, type Gemma2Config } from './config-gemma2.js';

export * from './config-gemma2.js';

/** How scores are scaled and bounded. */
export const gemma2Attention = (config: Gemma2Config): AttentionOptions => ({
  scale: 1 / Math.sqrt(config.queryPreAttnScalar),
  softcap: config.scoreSoftcap,
});

/** A sandwich around attention of whatever kind. */
export class Gemma2Layer extends SandwichLayer {
  constructor(layerId: number, config: DecoderConfig, weights: Weights, selfAttn: LayerStep) {
    const norm = (name: string) => new OffsetRMSNorm(weights.at(name), config.hiddenSize, config.rmsNormEps);
    const parts = {
      beforeAttention: norm('input_layernorm'),
      selfAttn,
      afterAttention: norm('post_attention_layernorm'),
      beforeMlp: norm('pre_feedforward_layernorm'),
      mlp: new BaseMLP(config, weights.at('mlp')),
      afterMlp: norm('post_feedforward_layernorm'),
    };
    super(layerId, weights, parts, slidingVariant(config, layerId));
  }
}

/** Gemma in sandwiches, every other layer with a window; scores and logits are bounded (arXiv:2408.00118, section 2). */
export class FlashGemma2ForCausalLMATB extends FlashForCausalLMATB<Gemma2Config> {
  readonly name = 'gemma2';
  protected readonly model: GemmaModelATB;

  constructor(config: Gemma2Config, weights: Weights) {
    super(config, weights, { softcap: config.logitSoftcap });
    this.model = new GemmaModelATB(config, weights.at('model'), (layerId, at) => {
      const selfAttn = new RotaryAttention(layerId, config, at.at('self_attn'), gemma2Attention(config));
      return new Gemma2Layer(layerId, config, at, selfAttn);
    });
  }
}

export const Gemma2Router = routerOf(GEMMA2_CONFIG, FlashGemma2ForCausalLMATB, {
  about: {
    kind: 'gemma',
    features: ['sandwich norms', 'bounded scores and logits', 'windows by layer'],
    reference: 'transformers',
  },
});
registerModel('gemma2', Gemma2Router);
