import { rounded } from '../../dtype.js';
import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { OffsetRMSNorm } from '../../layers/norms/norms.js';
import { GatedLruBlock } from '../../layers/recurrent/gated-lru.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { RECURRENT_GEMMA_CONFIG, type RecurrentGemmaConfig } from './config-recurrent-gemma.js';

/** Griffin (arXiv:2402.19427) as Gemma has it: recurrent blocks, and attention with a window in every third layer. */
export class FlashRecurrentGemmaForCausalLMATB extends FlashForCausalLMATB<RecurrentGemmaConfig> {
  readonly name = 'recurrent_gemma';
  protected readonly model: BaseModelATB;

  constructor(config: RecurrentGemmaConfig, weights: Weights) {
    super(config, weights, { softcap: config.logitSoftcap });
    const inner = weights.at('model');
    const norm = (at: Weights) => new OffsetRMSNorm(at, config.hiddenSize, config.rmsNormEps);
    const layer = (layerId: number, at: Weights) => {
      const attends = config.attends[layerId];
      const Step = attends ? RotaryAttention : GatedLruBlock;
      const parts = {
        inputLayernorm: norm(at.at('temporal_pre_norm')),
        selfAttn: new Step(layerId, config, at.at('temporal_block')),
        postAttentionLayernorm: norm(at.at('channel_pre_norm')),
        mlp: new BaseMLP(config, at.at('mlp_block')),
      };
      return new PreNormLayer(layerId, at, parts, attends ? '' : 'recurrent');
    };
    this.model = new BaseModelATB(config, inner, {
      layer,
      norm: norm(inner.at('final_norm')),
      // The original has it as a number in bf16, whatever its weights are.
      embeddingScale: rounded(Math.sqrt(config.hiddenSize), 'bf16'),
    });
  }
}

export const RecurrentGemmaRouter = routerOf(RECURRENT_GEMMA_CONFIG, FlashRecurrentGemmaForCausalLMATB, {
  about: {
    kind: 'gemma',
    features: [
      'real-gated linear recurrent units',
      'a window in every layer that attends',
      'norms of 1 + weight',
      'bounded logits',
    ],
    reference: 'transformers',
  },
});
registerModel('recurrent_gemma', RecurrentGemmaRouter);
