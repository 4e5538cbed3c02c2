import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashFastVlmForCausalLMATB } from '../fast_vlm/index.js';
import { LLAVA_QWEN2_CONFIG, type LlavaQwen2Config } from './config.js';
import { asTransformersNames } from './names.js';
import { LlavaQwen2Processor } from './processor.js';

export { LLAVA_QWEN2_CONFIG } from './config.js';

/** FastVLM under the names of the files that Apple published. */
export class FlashLlavaQwen2ForCausalLMATB extends FlashFastVlmForCausalLMATB {
  override readonly name = 'llava_qwen2';

  constructor(config: LlavaQwen2Config, weights: Weights) {
    super(config, asTransformersNames(weights));
  }
}

export const LlavaQwen2Router = routerOf(LLAVA_QWEN2_CONFIG, FlashLlavaQwen2ForCausalLMATB, {
  harmlessTensors: [/\.num_batches_tracked$/, /\.vision_tower\.model\.head\.proj$/],
  mediaProcessor: (folder, config, encode) => LlavaQwen2Processor.load(folder, config, encode),
  about: {
    kind: 'media',
    features: ['FastVLM as published', 'whole pictures in black squares', 'text of qwen2'],
    reference: 'transformers, as fast_vlm',
  },
});
registerModel('llava_qwen2', LlavaQwen2Router);
