import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { headNamesWithin } from '../base/text-within.js';
import { GOT_CHAT } from './chat-format.js';
import { GOT_OCR2_CONFIG, type GotOcrConfig } from './config.js';
import { GotOcrProcessor } from './processor.js';
import { GotOcrTower } from './vision-tower.js';

const TEXT = 'language_model';

/** Qwen that reads pages by SAM's encoder (arXiv:2409.01704). */
export class FlashGotOcr2ForCausalLMATB extends FlashInsertingATB<GotOcrConfig> {
  readonly name = 'got_ocr2';
  protected readonly encoderModule: GotOcrTower;

  constructor(config: GotOcrConfig, weights: Weights) {
    super(config, weights, TEXT);
    const projector = weights.at('multi_modal_projector');
    this.encoderModule = new GotOcrTower(config, weights.at('vision_tower'), projector);
  }
}

export const GotOcr2Router = routerOf(GOT_OCR2_CONFIG, FlashGotOcr2ForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  chatFormat: () => GOT_CHAT,
  mediaProcessor: (folder, config) => GotOcrProcessor.load(folder, config),
  about: {
    kind: 'media',
    features: ['square pictures, or tiles', "SAM's encoder, convolutions behind it", 'text of qwen2'],
    reference: 'transformers',
  },
});
registerModel('got_ocr2', GotOcr2Router);
