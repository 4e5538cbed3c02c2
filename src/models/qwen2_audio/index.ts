import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { AudioTower, MelProcessor } from '../base/audio/index.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { headNamesWithin } from '../base/text-within.js';
import { QWEN2_AUDIO_CONFIG, type Qwen2AudioConfig } from './config.js';

export * from './config.js';

const TEXT = 'language_model';

/** Qwen2 that hears (arXiv:2407.10759). */
export class FlashQwen2AudioForCausalLMATB extends FlashInsertingATB<Qwen2AudioConfig> {
  readonly name = 'qwen2_audio';
  protected readonly encoderModule: AudioTower;

  constructor(config: Qwen2AudioConfig, weights: Weights) {
    super(config, weights, TEXT);
    this.encoderModule = new AudioTower(config.audio, weights, config.hiddenSize);
  }
}

export const Qwen2AudioRouter = routerOf(QWEN2_AUDIO_CONFIG, FlashQwen2AudioForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  mediaProcessor: (folder, { audioTokenId, audio }) => MelProcessor.load(folder, audioTokenId, audio.melBins),
  about: { kind: 'media', features: ['sound of up to 30 s'], reference: 'transformers' },
});
registerModel('qwen2_audio', Qwen2AudioRouter);
