import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { besideHead } from '../base/text-within.js';
import { SquareSiglipTower } from '../base/vision/index.js';
import { COHERE2_VISION_CONFIG, type Cohere2VisionConfig } from './config.js';
import { Cohere2VisionProcessor } from './processor.js';
import { GatedProjector } from './projector.js';

export { COHERE2, COHERE2_VISION_CONFIG, gatedSizeOr, mergeSize } from './config.js';
export { GatedProjector } from './projector.js';

const TEXT = 'model.language_model';

/** Command A that sees pictures by tiles. */
export class FlashCohere2VisionForCausalLMATB extends FlashInsertingATB<Cohere2VisionConfig> {
  readonly name = 'cohere2_vision';
  protected readonly encoderModule: SquareSiglipTower;

  constructor(config: Cohere2VisionConfig, weights: Weights) {
    // Logits are not scaled, as in Cohere2VisionForConditionalGeneration of transformers 5.24.
    super(config, besideHead(weights, TEXT), TEXT);
    const within = weights.at('model');
    const projector = new GatedProjector(config, within.at('multi_modal_projector'));
    this.encoderModule = new SquareSiglipTower(config, within.at('vision_tower'), projector);
  }
}

export const Cohere2VisionRouter = routerOf(COHERE2_VISION_CONFIG, FlashCohere2VisionForCausalLMATB, {
  headNames: { embedding: `${TEXT}.embed_tokens`, head: 'lm_head' },
  mediaProcessor: (folder, config, encode) => Cohere2VisionProcessor.load(folder, config, encode),
  about: {
    kind: 'media',
    features: [
      'pictures as tiles and the whole',
      'SigLIP, blocks of patches through gates',
      'text of cohere2, cohere2_moe',
    ],
    reference: 'transformers',
  },
});
registerModel('cohere2_vision', Cohere2VisionRouter);
