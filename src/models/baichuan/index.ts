import { PositionFreeAttention, RotaryAttention } from '../../layers/attention/attention-orders.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { BAICHUAN_CONFIG, type BaichuanConfig } from './config-baichuan.js';

/** Llama with packed projections; 13B has ALiBi, the second generation a head of unit rows (arXiv:2309.10305, section 2). */
export class FlashBaichuanForCausalLMATB extends FlashForCausalLMATB<BaichuanConfig> {
  readonly name = 'baichuan';
  protected readonly model: BaseModelATB;

  constructor(config: BaichuanConfig, weights: Weights) {
    super(config, weights, { unitRows: config.hasUnitHead });
    const norm = (at: Weights) => new BaseRMSNorm(at, config.hiddenSize, config.rmsNormEps);
    const inner = weights.at('model');
    const Attention = config.usesAlibi ? PositionFreeAttention : RotaryAttention;
    this.model = new BaseModelATB(config, inner, {
      layer: (layerId, at) =>
        new PreNormLayer(layerId, at, {
          inputLayernorm: norm(at.at('input_layernorm')),
          selfAttn: new Attention(layerId, config, at.at('self_attn'), {
            qkv: { packed: 'W_pack', order: 'blocks' },
          }),
          postAttentionLayernorm: norm(at.at('post_attention_layernorm')),
          mlp: new BaseMLP(config, at.at('mlp')),
        }),
      norm: norm(inner.at('norm')),
    });
  }
}

export const BaichuanRouter = routerOf(BAICHUAN_CONFIG, FlashBaichuanForCausalLMATB, {
  about: {
    kind: 'remote',
    features: ['q, k and v packed', 'ALiBi in 13B', 'a head of unit rows in the second generation'],
    reference: 'published formulas',
  },
});
registerModel('baichuan', BaichuanRouter);
