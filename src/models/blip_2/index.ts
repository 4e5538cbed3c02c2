import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BLIP_CHAT, BlipTower, blipProcessor } from '../base/blip/index.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { headNamesWithin } from '../base/text-within.js';
import { BLIP_2_CONFIG, type Blip2Config } from './config.js';

const TEXT = 'language_model';

/** OPT that sees pictures by learned queries, which look at them (arXiv:2301.12597). */
export class FlashBlip2ForCausalLMATB extends FlashInsertingATB<Blip2Config> {
  readonly name = 'blip_2';
  protected readonly encoderModule: BlipTower;

  constructor(config: Blip2Config, weights: Weights) {
    super(config, weights, TEXT);
    this.encoderModule = new BlipTower(config, weights);
  }
}

export const Blip2Router = routerOf(BLIP_2_CONFIG, FlashBlip2ForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  // The rows of padding, before that of position 0.
  harmlessTensors: [/\.embed_positions\.weight$/],
  chatFormat: () => BLIP_CHAT,
  mediaProcessor: (folder, config) => blipProcessor(folder, config),
  about: {
    kind: 'media',
    features: ['square pictures', 'queries that look at them', 'text of opt'],
    reference: 'transformers',
  },
});
registerModel('blip-2', Blip2Router);
