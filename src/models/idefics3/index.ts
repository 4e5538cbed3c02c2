import { registerModel, routerOf } from '../../router/index.js';
import { bucketedPositions, bucketsByProduct } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { besideHead } from '../base/text-within.js';
import { SquareSiglipTower } from '../base/vision/index.js';
import { IDEFICS3_CONFIG, type Idefics3Config } from './config.js';
import { Connector } from './connector.js';
import { Idefics3Processor, readIdefics3Pictures } from './processor.js';

export { IDEFICS3_CONFIG, type Idefics3Config } from './config.js';
export { Idefics3Processor, longestEdge, readIdefics3Pictures } from './processor.js';

const TEXT = 'model.text_model';

/** Llama that sees pictures square by square (arXiv:2408.12637; SmolVLM: arXiv:2504.05299). */
export class FlashIdefics3ForCausalLMATB extends FlashInsertingATB<Idefics3Config> {
  readonly name = 'idefics3';
  protected readonly encoderModule: SquareSiglipTower;

  constructor(config: Idefics3Config, weights: Weights) {
    super(config, besideHead(weights, TEXT), TEXT);
    const within = weights.at('model');
    const connector = new Connector(config, within.at('connector.modality_projection'));
    this.encoderModule = new SquareSiglipTower(config, within.at('vision_model'), connector, {
      positions: (side) => bucketedPositions(side, bucketsByProduct),
    });
  }
}

/** What models of this kind are told beside how pictures are processed. */
export const IDEFICS3_PARTS = { headNames: { embedding: `${TEXT}.embed_tokens`, head: 'lm_head' } };

export const Idefics3Router = routerOf(IDEFICS3_CONFIG, FlashIdefics3ForCausalLMATB, {
  ...IDEFICS3_PARTS,
  mediaProcessor: async (folder, config, encode) =>
    new Idefics3Processor(await readIdefics3Pictures(folder, config), config, encode),
  about: {
    kind: 'media',
    features: ['pictures as squares and the whole', 'SigLIP, blocks of patches', 'text of llama'],
    reference: 'transformers',
  },
});
registerModel('idefics3', Idefics3Router);
