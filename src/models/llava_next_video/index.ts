import { registerModel, routerOf } from '../../router/index.js';
import { lineRows, packedRows } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { llavaProjector, squareEncoder, unusedOfLlava } from '../base/llava/index.js';
import { headNamesWithin } from '../base/text-within.js';
import { ProjectedTower } from '../base/vision/index.js';
import { LLAVA_NEXT_VIDEO_CONFIG, type LlavaNextVideoConfig } from './config.js';
import { PooledProjector } from './pooled-projector.js';
import { NextVideoProcessor } from './processor.js';

const TEXT = 'language_model';

/** LLaVA-NeXT that sees frames as well, coarser than pictures (LLaVA-NeXT: a strong zero-shot video model, 2024). */
export class FlashLlavaNextVideoForCausalLMATB extends FlashInsertingATB<LlavaNextVideoConfig> {
  readonly name = 'llava_next_video';
  protected readonly encoderModule: Encoder;

  constructor(config: LlavaNextVideoConfig, weights: Weights) {
    super(config, weights, TEXT);
    const { vision, hiddenSize } = config;
    const sizes = { layerId: vision.numLayers, hiddenSize };
    const projector = new PooledProjector(llavaProjector(config, weights), weights, sizes);
    const inputs = [packedRows(true, 1, false), lineRows];
    this.encoderModule = new ProjectedTower(squareEncoder(config, weights), projector, inputs);
  }
}

export const LlavaNextVideoRouter = routerOf(LLAVA_NEXT_VIDEO_CONFIG, FlashLlavaNextVideoForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  harmlessTensors: unusedOfLlava,
  mediaProcessor: (folder, config) => NextVideoProcessor.load(folder, config),
  about: {
    kind: 'media',
    features: ['pictures as llava_next', 'frames as means of 2 x 2 patches', 'text as in llava'],
    reference: 'transformers',
  },
});
registerModel('llava_next_video', LlavaNextVideoRouter);
