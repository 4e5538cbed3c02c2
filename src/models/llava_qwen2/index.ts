import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { publishedSquares, standIn } from '../base/llava/index.js';
import { FlashFastVlmForCausalLMATB, PIXELS } from '../fast_vlm/index.js';
import { LLAVA_QWEN2_CONFIG, type LlavaQwen2Config } from './config.js';
import { asTransformersNames } from './names.js';

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
  mediaProcessor: (folder, { tokensAlong, aspect, imageTokenId = 0 }, encode) =>
    publishedSquares(
      folder,
      {
        ...{ side: tokensAlong * PIXELS, patchSize: PIXELS, isPadded: aspect === 'pad' },
        // Numbers from 0 to 1.
        channels: { mean: [0, 0, 0], std: [1, 1, 1] },
      },
      { ...standIn(encode, '<|endoftext|>'), rowTokens: { image: imageTokenId } },
    ),
  about: {
    kind: 'media',
    features: ['FastVLM as published', 'whole pictures in black squares', 'text of qwen2'],
    reference: 'transformers, as fast_vlm',
  },
});
registerModel('llava_qwen2', LlavaQwen2Router);
