import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { anyresTower, unusedOfLlava } from '../base/llava/index.js';
import { headNamesWithin } from '../base/text-within.js';
import { LLAVA_ONEVISION_CONFIG, type LlavaOnevisionConfig } from './config.js';
import { OnevisionProcessor } from './processor.js';

export { LLAVA_ONEVISION_CONFIG } from './config.js';

const TEXT = 'language_model';

/** LLaVA that sees one picture finely, several pictures, and frames (arXiv:2408.03326). */
export class FlashLlavaOnevisionForCausalLMATB extends FlashInsertingATB<LlavaOnevisionConfig> {
  readonly name = 'llava_onevision';
  protected readonly encoderModule: Encoder;

  constructor(config: LlavaOnevisionConfig, weights: Weights) {
    super(config, weights, TEXT);
    this.encoderModule = anyresTower(config, weights, true);
  }
}

export const LlavaOnevisionRouter = routerOf(LLAVA_ONEVISION_CONFIG, FlashLlavaOnevisionForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  harmlessTensors: unusedOfLlava,
  mediaProcessor: (folder, config) => OnevisionProcessor.load(folder, config),
  about: {
    kind: 'media',
    features: [
      'a picture as one square and as tiles, several as squares',
      'frames as a quarter of their rows',
      'SigLIP',
      'text of internlm2, llama, mistral, qwen2, qwen3',
    ],
    reference: 'transformers',
  },
});
registerModel('llava_onevision', LlavaOnevisionRouter);
