import type { DecoderConfig } from '../../layers/config/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashForCausalLMATB, type HeadOptions } from '../base/flash-for-causal-lm-atb.js';
import { LlamaModelATB, type MakeLayer } from './modeling-llama-atb.js';

export class FlashLlamaForCausalLMATB<
  C extends DecoderConfig = DecoderConfig,
> extends FlashForCausalLMATB<C> {
  readonly name: string = 'llama';
  protected readonly model: LlamaModelATB;

  /** `layer` makes the layers of a variant, `head` is how its head differs. */
  constructor(config: C, weights: Weights, layer?: MakeLayer, head?: HeadOptions) {
    super(config, weights, head);
    this.model = new LlamaModelATB(config, weights.at('model'), layer);
  }
}
