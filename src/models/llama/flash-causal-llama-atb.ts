import type { DecoderConfig } from '../../layers/config/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { LlamaModelATB } from './modeling-llama-atb.js';

export class FlashLlamaForCausalLMATB<
  C extends DecoderConfig = DecoderConfig,
> extends FlashForCausalLMATB<C> {
  readonly name: string = 'llama';
  protected readonly model: LlamaModelATB;

  constructor(config: C, weights: Weights) {
    super(config, weights);
    this.model = new LlamaModelATB(config, weights.at('model'));
  }
}
