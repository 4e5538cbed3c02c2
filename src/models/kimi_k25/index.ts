import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { headNamesWithin } from '../base/text-within.js';
import { KIMI_K25_CONFIG, type KimiK25Config } from './config.js';
import { KimiProcessor } from './processor.js';
import { KimiTower } from './vision-tower.js';

const TEXT = 'language_model';

/** Kimi-K2 that sees pictures and frames of videos. */
export class FlashKimiK25ForCausalLMATB extends FlashInsertingATB<KimiK25Config> {
  readonly name = 'kimi_k25';
  protected readonly encoderModule: KimiTower;

  constructor(config: KimiK25Config, weights: Weights) {
    super(config, weights, TEXT);
    this.encoderModule = new KimiTower(config, weights);
  }
}

export const KimiK25Router = routerOf(KIMI_K25_CONFIG, FlashKimiK25ForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  mediaProcessor: (folder, config, encode) => KimiProcessor.load(folder, config, encode),
  about: {
    kind: 'media',
    features: [
      'pictures of any size',
      'learned and rotary positions',
      'four frames together, behind their times',
      'text of deepseek_v3, kimi_k2',
    ],
    reference: 'transformers',
  },
});
registerModel('kimi_k25', KimiK25Router);
