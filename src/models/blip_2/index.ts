import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { headNamesWithin } from '../base/text-within.js';
import { CLIP_CHANNELS, WholeProcessor, wholePictures } from '../base/vision/index.js';
import { BLIP_2_CHAT } from './chat-format.js';
import { BLIP_2_CONFIG, type Blip2Config } from './config.js';
import { Blip2Tower } from './vision-tower.js';

const TEXT = 'language_model';

/** Defaults of transformers 5.24, BlipImageProcessor. */
const BLIP_PICTURES = wholePictures(384, CLIP_CHANNELS);

/** OPT that sees pictures by learned queries, which look at them (arXiv:2301.12597). */
export class FlashBlip2ForCausalLMATB extends FlashInsertingATB<Blip2Config> {
  readonly name = 'blip_2';
  protected readonly encoderModule: Blip2Tower;

  constructor(config: Blip2Config, weights: Weights) {
    super(config, weights, TEXT);
    this.encoderModule = new Blip2Tower(config, weights);
  }
}

export const Blip2Router = routerOf(BLIP_2_CONFIG, FlashBlip2ForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  // The rows of padding, before that of position 0.
  harmlessTensors: [/\.embed_positions\.weight$/],
  chatFormat: () => BLIP_2_CHAT,
  mediaProcessor: (folder, { imageTokenId, vision, queries: tokens }) =>
    WholeProcessor.load(folder, imageTokenId, { ...vision, tokens, hasFirst: true }, BLIP_PICTURES),
  about: {
    kind: 'media',
    features: ['square pictures', 'queries that look at them', 'text of opt'],
    reference: 'transformers',
  },
});
registerModel('blip-2', Blip2Router);
