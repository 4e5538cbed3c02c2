import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { besideHead } from '../base/text-within.js';
import { FUN_ASR_NANO_CONFIG, type FunAsrNanoConfig } from './config.js';
import { funAsrNanoProcessor } from './processor.js';
import { FunSoundTower } from './sound-tower.js';

export { FUN_ASR_NANO_CONFIG } from './config.js';

const TEXT = 'model.language_model';

/** Qwen3 that writes down what SenseVoice's encoder hears (arXiv:2509.12508). */
export class FlashFunasrnanoForCausalLMATB extends FlashInsertingATB<FunAsrNanoConfig> {
  readonly name = 'fun_asr_nano';
  protected readonly encoderModule: FunSoundTower;

  constructor(config: FunAsrNanoConfig, weights: Weights) {
    super(config, besideHead(weights, TEXT), TEXT);
    const within = weights.at('model');
    this.encoderModule = new FunSoundTower(
      config,
      within.at('audio_tower'),
      within.at('multi_modal_projector'),
    );
  }
}

export const FunasrnanoRouter = routerOf(FUN_ASR_NANO_CONFIG, FlashFunasrnanoForCausalLMATB, {
  headNames: { embedding: `${TEXT}.embed_tokens`, head: 'lm_head' },
  mediaProcessor: funAsrNanoProcessor,
  about: {
    kind: 'media',
    features: ['sound of up to 2 minutes', 'attention with memory', 'text of qwen3'],
    reference: 'transformers',
  },
});
registerModel('fun_asr_nano', FunasrnanoRouter);
