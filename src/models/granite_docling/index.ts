import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { besideHead } from '../base/text-within.js';
import { GRANITE_DOCLING_CONFIG, type GraniteDoclingConfig } from './config.js';
import { GraniteDoclingProcessor } from './processor.js';
import { GraniteDoclingTower } from './vision-tower.js';

const TEXT = 'model.text_model';

/** Granite that reads pages square by square, whose first layers get vectors of some of the encoder's. */
export class FlashGraniteDoclingForCausalLMATB extends FlashInsertingATB<GraniteDoclingConfig> {
  readonly name = 'granite_docling';
  protected readonly encoderModule: GraniteDoclingTower;

  constructor(config: GraniteDoclingConfig, weights: Weights) {
    super(config, besideHead(weights, TEXT), TEXT, { scale: 1 / config.logitsScaling });
    this.encoderModule = new GraniteDoclingTower(config, weights.at('model.vision_model'));
  }
}

export const GraniteDoclingRouter = routerOf(GRANITE_DOCLING_CONFIG, FlashGraniteDoclingForCausalLMATB, {
  headNames: { embedding: `${TEXT}.embed_tokens`, head: 'lm_head' },
  // Of pages that are seen in a second way, and of what would choose them.
  harmlessTensors: [/^model\.vision_model\.connector\.fine\./, /^model\.density_router\./],
  mediaProcessor: (folder, config, encode) => GraniteDoclingProcessor.load(folder, config, encode),
  about: {
    kind: 'media',
    features: ['as idefics3', 'vectors of some layers of its encoder', 'text of granite'],
    reference: 'transformers',
  },
});
registerModel('granite_docling', GraniteDoclingRouter);
