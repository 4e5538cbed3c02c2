import { registerModel, routerOf } from '../../router/index.js';
import type { RotaryTables } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { slidingRotaryTables } from '../base/sliding-rotary.js';
import { GEMMA3_CONFIG, type Gemma3Config } from './config-gemma3.js';
import { Gemma3ModelATB } from './modeling-gemma3-atb.js';

export * from './modeling-gemma3-atb.js';

/** The text model of Gemma 3 (arXiv:2503.19786). */
export class FlashGemma3ForCausalLMATB extends FlashForCausalLMATB<Gemma3Config> {
  readonly name = 'gemma3_text';
  protected readonly model: Gemma3ModelATB;

  constructor(config: Gemma3Config, weights: Weights) {
    super(config, weights);
    this.model = new Gemma3ModelATB(config, weights.at('model'));
  }

  protected override get otherRotaryTables(): readonly RotaryTables[] {
    return [slidingRotaryTables(this.config.ropes.sliding_attention)];
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
