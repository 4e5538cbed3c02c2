import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashMropeForCausalLMATB, rootsOf } from '../base/vision/index.js';
import { PADDLEOCR_VL_CONFIG, type PaddleOcrVlConfig } from './config.js';
import { PaddleOcrProcessor } from './processor.js';
import { PaddleOcrTower } from './vision-tower.js';

/** ERNIE 4.5 that reads documents, whose heads turn by halves and by three axes (arXiv:2510.14528). */
export class FlashPaddleOcrVlForCausalLMATB extends FlashMropeForCausalLMATB<PaddleOcrVlConfig> {
  readonly name = 'paddleocr_vl';
  protected readonly encoderModule: PaddleOcrTower;

  constructor(config: PaddleOcrVlConfig, weights: Weights) {
    super(config, weights);
    const tower = weights.at(rootsOf(weights).vision).at('vision_model');
    // What is published has the one, what transformers has in memory the other.
    const projector = weights.has('model.projector.linear_1.weight') ? 'model.projector' : 'mlp_AR';
    this.encoderModule = new PaddleOcrTower(config, tower, weights.at(projector));
  }
}

export const PaddleOcrVlRouter = routerOf(PADDLEOCR_VL_CONFIG, FlashPaddleOcrVlForCausalLMATB, {
  // Of one vector for a whole picture, and positions for pictures that are packed without their shapes.
  harmlessTensors: [/^(model\.)?visual\.vision_model\.(head\.|embeddings\.packing_position_embedding\.)/],
  mediaProcessor: (folder, config) => PaddleOcrProcessor.read(folder, config),
  about: {
    kind: 'media',
    features: [
      'pictures of any size',
      'SigLIP with rotary positions',
      'text of ernie4_5 with those of three axes',
    ],
    reference: 'transformers',
  },
});
registerModel('paddleocr_vl', PaddleOcrVlRouter);
