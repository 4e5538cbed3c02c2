import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import { gridPositions } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { unusedOfLlava } from '../base/llava/index.js';
import { headNamesWithin } from '../base/text-within.js';
import { SquareSiglipTower, visionTower } from '../base/vision/index.js';
import { GatedProjector } from '../cohere2_vision/index.js';
import { AYA_VISION_CONFIG, type AyaVisionConfig } from './config.js';
import { AyaVisionProcessor } from './processor.js';

export { AYA_VISION_CONFIG } from './config.js';

const TEXT = 'language_model';

/** Aya that sees pictures by tiles (arXiv:2505.08751). */
export class FlashAyaVisionForCausalLMATB extends FlashInsertingATB<AyaVisionConfig> {
  readonly name = 'aya_vision';
  protected readonly encoderModule: SquareSiglipTower;

  constructor(config: AyaVisionConfig, weights: Weights) {
    // Logits are not scaled, as in AyaVisionForConditionalGeneration of transformers 5.24.
    super(config, weights, TEXT);
    const { vision, mergeSize, projectorEps } = config;
    const at = weights.at('multi_modal_projector');
    const width = vision.hiddenSize * mergeSize ** 2;
    const norm = new BaseLayerNorm(at.at('layernorm'), width, projectorEps, { name: 'projector_norm' });
    const tower = { vision: { ...vision, numLayers: config.computedLayers }, mergeSize };
    const parts = { positions: gridPositions, hasNorm: false };
    const projector = new GatedProjector(config, at, norm);
    this.encoderModule = new SquareSiglipTower(tower, visionTower(weights), projector, parts);
  }
}

export const AyaVisionRouter = routerOf(AYA_VISION_CONFIG, FlashAyaVisionForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  harmlessTensors: unusedOfLlava,
  mediaProcessor: (folder, config, encode) => AyaVisionProcessor.load(folder, config, encode),
  about: {
    kind: 'media',
    features: ['pictures as numbered tiles and the whole', 'as cohere2_vision', 'text of cohere2'],
    reference: 'transformers',
  },
});
registerModel('aya_vision', AyaVisionRouter);
