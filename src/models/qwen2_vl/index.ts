import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { QWEN2_VL_CONFIG, type Qwen2vlConfig } from './config.js';
import { FlashMropeForCausalLMATB, rootsOf } from './modeling-qwen2vl-atb.js';
import { Qwen2vlProcessor } from './processor.js';
import { Qwen2vlVisionTower } from './vision-tower.js';

export * from './config.js';
export * from './modeling-qwen2vl-atb.js';
export * from './picture-config.js';
export * from './processor.js';
export * from './vision-tower.js';

/** Qwen2 that sees pictures of any size (arXiv:2409.12191). MindIE's name of it. */
export class FlashQwen2vlForCausalLMATB extends FlashMropeForCausalLMATB<Qwen2vlConfig> {
  readonly name = 'qwen2_vl';
  protected readonly encoderModule: Qwen2vlVisionTower;

  constructor(config: Qwen2vlConfig, weights: Weights) {
    super(config, weights);
    this.encoderModule = new Qwen2vlVisionTower(config.vision, weights.at(rootsOf(weights).vision));
  }
}

export const Qwen2vlRouter = routerOf(QWEN2_VL_CONFIG, FlashQwen2vlForCausalLMATB, {
  mediaProcessor: Qwen2vlProcessor.load,
  about: {
    kind: 'media',
    features: ['pictures of any size', 'positions of three axes'],
    reference: 'transformers',
  },
});
registerModel('qwen2_vl', Qwen2vlRouter);
