import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { headNamesWithin } from '../base/text-within.js';
import { MINICPM_QWEN2_V2_CONFIG, type Minicpmqwen2v2Config } from './config.js';
import { sliceProcessor } from './processor.js';
import { SiglipTower } from './vision-tower.js';

export * from './config.js';

const TEXT = 'llm';

/** MiniCPM-V 2.6 and 4: Qwen2 or Llama that sees pictures slice by slice (arXiv:2408.01800). MindIE's name of 2.6. */
export class FlashMinicpmqwen2v2ForCausalLMATB extends FlashInsertingATB<Minicpmqwen2v2Config> {
  readonly name = 'minicpm_qwen2_v2';
  protected readonly encoderModule: SiglipTower;

  constructor(config: Minicpmqwen2v2Config, weights: Weights) {
    super(config, weights, TEXT);
    const [tower, resampler] = [weights.at('vpm'), weights.at('resampler')];
    this.encoderModule = new SiglipTower(config, { tower, resampler });
  }
}

export const Minicpmqwen2v2Router = routerOf(MINICPM_QWEN2_V2_CONFIG, FlashMinicpmqwen2v2ForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  // The published code ends answers at either.
  chatFormat: () => ({ stops: ['<|im_end|>', '<|endoftext|>'] }),
  mediaProcessor: sliceProcessor,
  about: {
    kind: 'media',
    features: [
      'pictures of any shape, in slices',
      'frames',
      'SigLIP and a resampler',
      'text of qwen2, llama',
    ],
    reference: 'published formulas',
  },
});
registerModel('minicpmv', Minicpmqwen2v2Router);
