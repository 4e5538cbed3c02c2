import { registerModel, routerOf } from '../../router/index.js';
import { bucketedPositions, bucketsByProduct, countedQueries } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { unusedOfLlava } from '../base/llava/index.js';
import { headNamesWithin } from '../base/text-within.js';
import { ProjectedTower, SiglipEncoder, visionTower } from '../base/vision/index.js';
import { ARIA_CONFIG, type AriaConfig } from './config.js';
import { AriaProcessor } from './processor.js';
import { AriaProjector } from './projector.js';

const TEXT = 'language_model';

/** Experts that see pictures in their own shapes, each as so many tokens (arXiv:2410.05993). */
export class FlashAriaForCausalLMATB extends FlashInsertingATB<AriaConfig> {
  readonly name = 'aria';
  protected readonly encoderModule: ProjectedTower;

  constructor(config: AriaConfig, weights: Weights) {
    super(config, weights, TEXT);
    const { vision, computedLayers: numLayers, queries } = config;
    const encoder = new SiglipEncoder({ ...vision, numLayers }, visionTower(weights), {
      positions: (side) => bucketedPositions(side, bucketsByProduct),
      hasNorm: false,
    });
    const projector = new AriaProjector(config, weights.at('multi_modal_projector'));
    this.encoderModule = new ProjectedTower(encoder, projector, [
      countedQueries(Math.max(...queries.values())),
    ]);
  }
}

export const AriaRouter = routerOf(ARIA_CONFIG, FlashAriaForCausalLMATB, {
  headNames: headNamesWithin('aria_text', TEXT),
  harmlessTensors: unusedOfLlava,
  mediaProcessor: (folder, config) => AriaProcessor.load(folder, config),
  about: {
    kind: 'media',
    features: ['pictures of any shape', 'SigLIP, learned queries', 'text of aria_text'],
    reference: 'transformers',
  },
});
registerModel('aria', AriaRouter);
