import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { besideHead } from '../base/text-within.js';
import { GUESSING_LAYERS } from '../qwen3_next/index.js';
import { type SlicedConfig, slicedConfig } from './config.js';
import { slicedProcessor } from './processor.js';
import { SlicedTower } from './vision-tower.js';

export * from './config.js';
export * from './processor.js';
export { SlicedTower } from './vision-tower.js';

const TEXT = 'model.language_model';

/** Qwen3.5 that sees pictures slice by slice, whose rows become fewer within the encoder. */
export class FlashMinicpmv46ForCausalLMATB extends FlashInsertingATB<SlicedConfig> {
  readonly name: string = 'minicpmv4_6';
  protected readonly encoderModule: SlicedTower;

  constructor(config: SlicedConfig, weights: Weights) {
    super(config, besideHead(weights, TEXT), TEXT);
    const within = weights.at('model');
    this.encoderModule = new SlicedTower(config, within.at('vision_tower'), within.at('merger'));
  }
}

/** What routers of this kind have in common. */
export const SLICED = {
  headNames: { embedding: `${TEXT}.embed_tokens`, head: 'lm_head' },
  // Where four patches become a token, none become fewer within the encoder.
  harmlessTensors: ({ mode }: Pick<SlicedConfig, 'mode'>) =>
    mode === '4x' ? [...GUESSING_LAYERS, /^model\.vision_tower\.vit_merger\./] : GUESSING_LAYERS,
};

export const Minicpmv46Router = routerOf(
  slicedConfig({ kind: 'minicpmv4_6_vision', mode: '16x', isTied: false }),
  FlashMinicpmv46ForCausalLMATB,
  {
    ...SLICED,
    mediaProcessor: (folder, config, encode) => slicedProcessor(folder, config, encode, '16x'),
    about: {
      kind: 'media',
      features: [
        'pictures of any shape and frames, in slices',
        'SigLIP, rows become fewer',
        'text of qwen3_5_text',
      ],
      reference: 'transformers',
    },
  },
);
registerModel('minicpmv4_6', Minicpmv46Router);
