import { registerModel, routerOf } from '../../router/index.js';
import { bucketedPositions, bucketsByProduct, perceiving } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { besideHead } from '../base/text-within.js';
import { ProjectedTower, SiglipEncoder } from '../base/vision/index.js';
import { IDEFICS2_CONFIG, type Idefics2Config } from './config.js';
import { Idefics2Processor } from './processor.js';
import { Idefics2Connector } from './resampler.js';

const TEXT = 'model.text_model';

/** Mistral that sees pictures in their own shapes (arXiv:2405.02246). */
export class FlashIdefics2ForCausalLMATB extends FlashInsertingATB<Idefics2Config> {
  readonly name = 'idefics2';
  protected readonly encoderModule: ProjectedTower;

  constructor(config: Idefics2Config, weights: Weights) {
    super(config, besideHead(weights, TEXT), TEXT);
    const within = weights.at('model');
    const positions = (side: number) => bucketedPositions(side, bucketsByProduct);
    const encoder = new SiglipEncoder(config.vision, within.at('vision_model'), { positions });
    const connector = new Idefics2Connector(config, within.at('connector'));
    this.encoderModule = new ProjectedTower(encoder, connector, [perceiving(config.perceiver.queries)]);
  }
}

export const Idefics2Router = routerOf(IDEFICS2_CONFIG, FlashIdefics2ForCausalLMATB, {
  headNames: { embedding: `${TEXT}.embed_tokens`, head: 'lm_head' },
  mediaProcessor: (folder, config, encode) => Idefics2Processor.read(folder, config, encode),
  about: {
    kind: 'media',
    features: ['pictures of any shape, quarters and the whole', 'SigLIP, a resampler', 'text of mistral'],
    reference: 'transformers',
  },
});
registerModel('idefics2', Idefics2Router);
