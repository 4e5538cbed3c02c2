import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashMropeForCausalLMATB } from '../base/vision/index.js';
import { SLICED, SlicedTower } from '../minicpmv4_6/index.js';
import { denseParts, sparseParts } from '../qwen3_5_text/index.js';
import { hybridLayers } from '../qwen3_next/index.js';
import { MINICPMV4_7_CONFIG, type Minicpmv47Config } from './config.js';
import { CanvasProcessor } from './processor.js';

/** MiniCPM-V 4.6 whose slices lie where they are in a picture: positions have three axes. */
export class FlashMinicpmv47ForCausalLMATB extends FlashMropeForCausalLMATB<Minicpmv47Config> {
  readonly name = 'minicpmv4_7';
  protected readonly encoderModule: SlicedTower;

  constructor(config: Minicpmv47Config, weights: Weights) {
    super(
      config,
      weights,
      hybridLayers(config, 'numExperts' in config ? sparseParts(config) : denseParts(config)),
    );
    const at = weights.at('model');
    this.encoderModule = new SlicedTower(config, at.at('vision_tower'), at.at('merger'));
  }
}

export const Minicpmv47Router = routerOf(MINICPMV4_7_CONFIG, FlashMinicpmv47ForCausalLMATB, {
  ...SLICED,
  mediaProcessor: CanvasProcessor.load,
  about: {
    kind: 'media',
    features: ['as minicpmv4_6', 'slices on canvases', 'text of qwen3_5_text, qwen3_5_moe_text'],
    reference: 'transformers',
  },
});
registerModel('minicpmv4_7', Minicpmv47Router);
