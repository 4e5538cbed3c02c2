import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import { slidingVariant } from '../../layers/decoder/base-layer.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { OffsetRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { GemmaModelATB } from '../gemma/index.js';
import { GEMMA2_CONFIG, type Gemma2Config, gemma2Attention } from '../gemma2/index.js';

/** Gemma 2 without norms of what comes out of attention and MLP. */
export class FlashVaultGemmaForCausalLMATB extends FlashForCausalLMATB<Gemma2Config> {
  readonly name = 'vaultgemma';
  protected readonly model: GemmaModelATB;

  constructor(config: Gemma2Config, weights: Weights) {
    super(config, weights, { softcap: config.logitSoftcap });
    const norm = (at: Weights) => new OffsetRMSNorm(at, config.hiddenSize, config.rmsNormEps);
    this.model = new GemmaModelATB(config, weights.at('model'), (layerId, at) => {
      const parts = {
        inputLayernorm: norm(at.at('input_layernorm')),
        selfAttn: new RotaryAttention(layerId, config, at.at('self_attn'), gemma2Attention(config)),
        postAttentionLayernorm: norm(at.at('pre_feedforward_layernorm')),
        mlp: new BaseMLP(config, at.at('mlp')),
      };
      return new PreNormLayer(layerId, at, parts, slidingVariant(config, layerId));
    });
  }
}

// What Gemma 2's configuration says holds for it, too.
export const VaultGemmaRouter = routerOf(GEMMA2_CONFIG, FlashVaultGemmaForCausalLMATB, {
  about: {
    kind: 'gemma',
    features: ['bounded scores and logits', 'windows by layer'],
    reference: 'transformers',
  },
});
registerModel('vaultgemma', VaultGemmaRouter);
