import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BLIP_CHAT, BlipTower } from '../base/blip/index.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { headNamesWithin } from '../base/text-within.js';
import { INSTRUCTBLIP_CONFIG, type InstructBlipConfig } from './config.js';
import { InstructBlipProcessor } from './processor.js';

export { instructBlipFields } from './config.js';
export { InstructBlipProcessor } from './processor.js';

const TEXT = 'language_model';

/** Vicuna that sees pictures by learned queries, which read what is asked of them (arXiv:2305.06500). */
export class FlashInstructBlipForCausalLMATB extends FlashInsertingATB<InstructBlipConfig> {
  readonly name: string = 'instructblip';
  protected readonly encoderModule: BlipTower;

  constructor(config: InstructBlipConfig, weights: Weights) {
    super(config, weights, TEXT);
    this.encoderModule = new BlipTower(config, weights);
  }
}

export const InstructBlipRouter = routerOf(INSTRUCTBLIP_CONFIG, FlashInstructBlipForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  // Rows of padding of OPT, and numbers of positions.
  harmlessTensors: [/\.embed_positions\.weight$/, /^qformer\.embeddings\.position_ids$/],
  chatFormat: () => BLIP_CHAT,
  mediaProcessor: (folder, config, encode) => InstructBlipProcessor.load(folder, config, encode),
  about: {
    kind: 'media',
    features: ['square pictures', 'queries that look at them and read the prompt', 'text of llama, opt'],
    reference: 'transformers',
  },
});
registerModel('instructblip', InstructBlipRouter);
