import { type BaseConfig, baseConfig } from '../../layers/config/index.js';
import { BaseRouter, RegisterRouter } from '../../router/index.js';
import { FlashLlamaForCausalLMATB } from '../llama/index.js';

/** Llama with biased q, k and v projections, and windows in some layers (arXiv:2407.10671, section 2.2). */
export class FlashQwen2ForCausalLMATB extends FlashLlamaForCausalLMATB {
  override readonly name = 'qwen2';
}

@RegisterRouter('qwen2')
export class Qwen2Router extends BaseRouter {
  protected getConfig(): BaseConfig {
    return baseConfig(this.configDict, { attentionBias: 'qkv', slidingWindow: 'by-layer' });
  }

  protected getModelClass(): typeof FlashQwen2ForCausalLMATB {
    return FlashQwen2ForCausalLMATB;
  }
}
