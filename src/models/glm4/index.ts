import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import type { DecoderConfig } from '../../layers/config/index.js';
import { SandwichLayer } from '../../layers/decoder/decoder-layers.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { GLM_CONFIG, glmMlp } from '../glm/index.js';
import { FlashLlamaForCausalLMATB } from '../llama/index.js';

/** A layer with norms before and after attention and MLP. The one named post_attention is the MLP's own, before it. */
export class Glm4Layer extends SandwichLayer {
  constructor(layerId: number, config: DecoderConfig, weights: Weights) {
    const norm = (name: string) => new BaseRMSNorm(weights.at(name), config.hiddenSize, config.rmsNormEps);
    super(layerId, weights, {
      beforeAttention: norm('input_layernorm'),
      selfAttn: new RotaryAttention(layerId, config, weights.at('self_attn')),
      afterAttention: norm('post_self_attn_layernorm'),
      beforeMlp: norm('post_attention_layernorm'),
      mlp: glmMlp(config, weights.at('mlp')),
      afterMlp: norm('post_mlp_layernorm'),
    });
  }
}

/** GLM-4 of 2025 (0414), whose layers are sandwiches. */
export class FlashGlm4ForCausalLMATB extends FlashLlamaForCausalLMATB {
  override readonly name = 'glm4';

  constructor(config: DecoderConfig, weights: Weights) {
    super(config, weights, (layerId, at) => new Glm4Layer(layerId, config, at));
  }
}

export const Glm4Router = routerOf(GLM_CONFIG, FlashGlm4ForCausalLMATB, {
  about: { kind: 'variant', features: ['as glm', 'sandwich norms'], reference: 'transformers' },
});
registerModel('glm4', Glm4Router);
