import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { besideHead } from '../base/text-within.js';
import { LFM2_VL_CONFIG, type Lfm2VlConfig } from './config.js';
import { Lfm2VlProcessor } from './processor.js';
import { Siglip2Tower } from './vision-tower.js';

const TEXT = 'model.language_model';

/** LFM2 that sees pictures in their own shapes (arXiv:2511.23404). */
export class FlashLfm2VlForCausalLMATB extends FlashInsertingATB<Lfm2VlConfig> {
  readonly name = 'lfm2_vl';
  protected readonly encoderModule: Siglip2Tower;

  constructor(config: Lfm2VlConfig, weights: Weights) {
    super(config, besideHead(weights, TEXT), TEXT);
    const within = weights.at('model');
    const tower = within.at('vision_tower');
    const older = tower.has('vision_model.post_layernorm.weight');
    const projector = within.at('multi_modal_projector');
    this.encoderModule = new Siglip2Tower(config, older ? tower.at('vision_model') : tower, projector);
  }
}

export const Lfm2VlRouter = routerOf(LFM2_VL_CONFIG, FlashLfm2VlForCausalLMATB, {
  headNames: { embedding: `${TEXT}.embed_tokens`, head: 'lm_head' },
  // Of one vector for a whole picture.
  harmlessTensors: [/^model\.vision_tower\.(vision_model\.)?head\./],
  mediaProcessor: (folder, config, encode) => Lfm2VlProcessor.load(folder, config, encode),
  about: {
    kind: 'media',
    features: ['pictures in their own shapes, large ones in tiles', 'SigLIP 2', 'text of lfm2'],
    reference: 'transformers',
  },
});
registerModel('lfm2_vl', Lfm2VlRouter);
