import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { headNamesWithin } from '../base/text-within.js';
import { LLAMA4_CONFIG, type Llama4Config } from './config.js';
import { Llama4Processor } from './processor.js';
import { Llama4Tower } from './tower.js';

const TEXT = 'language_model';

/** Llama 4, Scout and Maverick, that see pictures square by square. */
export class FlashLlama4ForCausalLMATB extends FlashInsertingATB<Llama4Config> {
  readonly name = 'llama4';
  protected readonly encoderModule: Llama4Tower;

  constructor(config: Llama4Config, weights: Weights) {
    super(config, weights, TEXT);
    this.encoderModule = new Llama4Tower(config, weights);
  }
}

export const Llama4Router = routerOf(LLAMA4_CONFIG, FlashLlama4ForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  mediaProcessor: (folder, config, encode) => Llama4Processor.load(folder, config, encode),
  about: {
    kind: 'media',
    features: ['pictures as squares of a canvas and the whole', 'text of llama4_text'],
    reference: 'transformers',
  },
});
registerModel('llama4', Llama4Router);
