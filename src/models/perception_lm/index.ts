import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { besideHead } from '../base/text-within.js';
import { PERCEPTION_LM_CONFIG, type PerceptionLMConfig } from './config.js';
import { PerceptionLMProcessor } from './processor.js';
import { PerceptionTower } from './tower.js';

export { PERCEPTION_LM_CONFIG } from './config.js';

const TEXT = 'model.language_model';

/** Llama that sees by a Perception Encoder (arXiv:2504.13180). */
export class FlashPerceptionLMForCausalLMATB extends FlashInsertingATB<PerceptionLMConfig> {
  readonly name = 'perception_lm';
  protected readonly encoderModule: PerceptionTower;

  constructor(config: PerceptionLMConfig, weights: Weights) {
    super(config, besideHead(weights, TEXT), TEXT);
    this.encoderModule = new PerceptionTower(config, weights.at('model'));
  }
}

export const PerceptionLMRouter = routerOf(PERCEPTION_LM_CONFIG, FlashPerceptionLMForCausalLMATB, {
  headNames: { embedding: `${TEXT}.embed_tokens`, head: 'lm_head' },
  mediaProcessor: (folder, config) => PerceptionLMProcessor.load(folder, config),
  about: {
    kind: 'media',
    features: [
      'pictures as the whole and as tiles',
      'frames as one square each',
      'Perception Encoders',
      'text of llama',
    ],
    reference: 'transformers',
  },
});
registerModel('perception_lm', PerceptionLMRouter);
