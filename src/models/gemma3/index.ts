import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { headNamesWithin } from '../base/text-within.js';
import { SquareSiglipTower, visionTower } from '../base/vision/index.js';
import { GEMMA3_CONFIG, type Gemma3VisionConfig } from './config-gemma3.js';
import { Gemma3Processor } from './processor.js';
import { PooledProjector } from './projector.js';

const TEXT = 'language_model';

/** Gemma 3 that sees square pictures, all of whose tokens see each other (arXiv:2503.19786, section 2). */
export class FlashGemma3VisionForCausalLMATB extends FlashInsertingATB<Gemma3VisionConfig> {
  readonly name = 'gemma3';
  protected readonly encoderModule: SquareSiglipTower;

  constructor(config: Gemma3VisionConfig, weights: Weights) {
    super(config, weights, TEXT);
    const projector = new PooledProjector(config, weights.at('multi_modal_projector'));
    this.encoderModule = new SquareSiglipTower(config, visionTower(weights), projector);
  }
}

export const Gemma3VisionRouter = routerOf(GEMMA3_CONFIG, FlashGemma3VisionForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  mediaProcessor: (folder, config, encode) => Gemma3Processor.load(folder, config, encode),
  about: {
    kind: 'media',
    features: ['square pictures by SigLIP', 'tokens of a picture see each other', 'text of gemma3_text'],
    reference: 'transformers',
  },
});
registerModel('gemma3', Gemma3VisionRouter);
