import { type BaseConfig, baseConfig } from '../../layers/config/index.js';
import { BaseRouter, RegisterRouter } from '../../router/index.js';
import { FlashLlamaForCausalLMATB } from './flash-causal-llama-atb.js';

/** Llama 1 to 3.x. */
@RegisterRouter('llama')
export class LlamaRouter extends BaseRouter {
  protected getConfig(): BaseConfig {
    return baseConfig(this.configDict, { attentionBias: 'as-configured', slidingWindow: 'none' });
  }

  protected getModelClass(): typeof FlashLlamaForCausalLMATB {
    return FlashLlamaForCausalLMATB;
  }
}
