import { NormedRotaryAttention, projectionNorms } from '../../layers/attention/attention-orders.js';
import { HeadNorm, OffsetRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { GemmaModelATB } from '../gemma/index.js';
import { Gemma2Layer } from '../gemma2/index.js';
import { GEMMA3_CONFIG, type Gemma3Config } from './config-gemma3.js';

/** The text model of Gemma 3: queries and keys are normed head by head, then turned as the layer has it (arXiv:2503.19786). */
export class FlashGemma3ForCausalLMATB extends FlashForCausalLMATB<Gemma3Config> {
  readonly name = 'gemma3_text';
  protected readonly model: GemmaModelATB;

  constructor(config: Gemma3Config, weights: Weights) {
    super(config, weights);
    const options = { scale: 1 / Math.sqrt(config.queryPreAttnScalar) };
    this.model = new GemmaModelATB(config, weights.at('model'), (layerId, at) => {
      const own = at.at('self_attn');
      const norms = projectionNorms(
        config,
        (of, heads) =>
          new HeadNorm(own.at(`${of}_norm`), { ...config, heads }, config.rmsNormEps, OffsetRMSNorm),
      );
      const selfAttn = new NormedRotaryAttention(layerId, config, own, norms, options);
      return new Gemma2Layer(layerId, config, at, selfAttn);
    });
  }
}

export const Gemma3Router = routerOf(GEMMA3_CONFIG, FlashGemma3ForCausalLMATB, {
  about: {
    kind: 'gemma',
    features: ['sandwich norms', 'norms of q and k', 'two rotary embeddings', 'windows by layer'],
    reference: 'transformers',
  },
});
registerModel('gemma3_text', Gemma3Router);
