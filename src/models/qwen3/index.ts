import { type BaseConfig, baseConfig } from '../../layers/config/index.js';
import { BaseRouter, RegisterRouter } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { Qwen3ModelATB } from './modeling-qwen3-atb.js';

export * from './modeling-qwen3-atb.js';

export class FlashQwen3ForCausalLMATB extends FlashForCausalLMATB {
  readonly name = 'qwen3';
  protected readonly model: Qwen3ModelATB;

  constructor(config: BaseConfig, weights: Weights) {
    super(config, weights);
    this.model = new Qwen3ModelATB(config, weights.at('model'));
  }
}

@RegisterRouter('qwen3')
export class Qwen3Router extends BaseRouter {
  protected getConfig(): BaseConfig {
    return baseConfig(this.configDict, {
      attentionBias: 'as-configured',
      slidingWindow: 'by-layer',
      headDim: 128,
    });
  }

  protected getModelClass(): typeof FlashQwen3ForCausalLMATB {
    return FlashQwen3ForCausalLMATB;
  }
}
