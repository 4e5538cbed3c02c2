import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { besideHead } from '../base/text-within.js';
import { TimedProcessor } from '../qwen3_vl/index.js';
import { LFM3_VL_CONFIG, type Lfm3VlConfig } from './config.js';
import { Lfm3VlTower } from './vision-tower.js';

const TEXT = 'model.language_model';

/** LFM3 that sees pictures of any size and frames at their seconds; their tokens stand in a line like words. */
export class FlashLfm3VlForCausalLMATB extends FlashInsertingATB<Lfm3VlConfig> {
  readonly name = 'lfm3_vl';
  protected readonly encoderModule: Lfm3VlTower;

  constructor(config: Lfm3VlConfig, weights: Weights) {
    super(config, besideHead(weights, TEXT), TEXT);
    this.encoderModule = new Lfm3VlTower(config, weights.at('model'));
  }
}

export const Lfm3VlRouter = routerOf(LFM3_VL_CONFIG, FlashLfm3VlForCausalLMATB, {
  headNames: { embedding: `${TEXT}.embed_tokens`, head: 'lm_head' },
  mediaProcessor: (folder, config, encode) => TimedProcessor.read(folder, config, encode),
  about: {
    kind: 'media',
    features: [
      'pictures of any size, frames at their seconds',
      'convolutions over patches and attention',
      'text of lfm3',
    ],
    reference: 'transformers',
  },
});
registerModel('lfm3_vl', Lfm3VlRouter);
