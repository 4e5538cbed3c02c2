import { type BaseConfig, baseConfig } from '../../layers/config/index.js';
import { BaseRouter, RegisterRouter } from '../../router/index.js';
import { FlashLlamaForCausalLMATB } from '../llama/index.js';

/** Llama with a sliding window in every layer (arXiv:2310.06825, section 2). */
export class FlashMistralForCausalLMATB extends FlashLlamaForCausalLMATB {
  override readonly name = 'mistral';
}

@RegisterRouter('mistral')
export class MistralRouter extends BaseRouter {
  protected getConfig(): BaseConfig {
    return baseConfig(this.configDict, { attentionBias: 'none', slidingWindow: 'every-layer' });
  }

  protected getModelClass(): typeof FlashMistralForCausalLMATB {
    return FlashMistralForCausalLMATB;
  }
}
