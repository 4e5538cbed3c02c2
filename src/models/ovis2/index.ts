import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { besideHead } from '../base/text-within.js';
import { OVIS2_CONFIG, type Ovis2Config } from './config.js';
import { Ovis2Processor } from './processor.js';
import { Ovis2Tower } from './tower.js';

export { OVIS2_CONFIG } from './config.js';

const TEXT = 'model.language_model';

/** A model of text that sees pictures as mixtures of visual words (arXiv:2405.20797). */
export class FlashOvis2ForCausalLMATB extends FlashInsertingATB<Ovis2Config> {
  readonly name = 'ovis2';
  protected readonly encoderModule: Ovis2Tower;

  constructor(config: Ovis2Config, weights: Weights) {
    super(config, besideHead(weights, TEXT), TEXT);
    this.encoderModule = new Ovis2Tower(config, weights.at('model'));
  }
}

export const Ovis2Router = routerOf(OVIS2_CONFIG, FlashOvis2ForCausalLMATB, {
  headNames: { embedding: `${TEXT}.embed_tokens`, head: 'lm_head' },
  mediaProcessor: (folder, config, encode) => Ovis2Processor.load(folder, config, encode),
  about: {
    kind: 'media',
    features: ['pictures as the whole and as tiles', 'AIMv2, visual words', 'text of llama, qwen2'],
    reference: 'transformers',
  },
});
registerModel('ovis2', Ovis2Router);
