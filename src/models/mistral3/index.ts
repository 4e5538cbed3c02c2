import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { headNamesWithin } from '../base/text-within.js';
import { PatchProjector, PixtralProcessor, PixtralTower } from '../base/vision/index.js';
import { MISTRAL3_CONFIG, type Mistral3Config } from './config.js';

const TEXT = 'language_model';

/** Mistral that sees pictures of any size, row by row (arXiv:2410.07073). */
export class FlashMistral3ForCausalLMATB extends FlashInsertingATB<Mistral3Config> {
  readonly name = 'mistral3';
  protected readonly encoderModule: PixtralTower;

  constructor(config: Mistral3Config, weights: Weights) {
    super(config, weights, TEXT);
    const [tower, projected] = [weights.at('vision_tower'), weights.at('multi_modal_projector')];
    const projector = new PatchProjector(config, projected);
    this.encoderModule = new PixtralTower(config, tower, projector, this.model.text);
  }
}

export const Mistral3Router = routerOf(MISTRAL3_CONFIG, FlashMistral3ForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  mediaProcessor: (folder, config, encode) => PixtralProcessor.load(folder, config, encode),
  about: {
    kind: 'media',
    features: [
      'pictures of any size',
      'words between their rows',
      "Pixtral's encoder",
      'text of mistral, ministral3, mistral4',
    ],
    reference: 'transformers',
  },
});
registerModel('mistral3', Mistral3Router);
