import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { AudioTower, MelProcessor } from '../base/audio/index.js';
import { FlashInsertingLlamaATB } from '../base/inserting-llama-atb.js';
import { QWEN2_AUDIO_CONFIG, type Qwen2AudioConfig } from './config.js';

export * from './config.js';

const NAMES = { root: 'language_model.model', head: 'language_model.lm_head' };

/** Qwen2 that hears (arXiv:2407.10759). */
export class FlashQwen2AudioForCausalLMATB extends FlashInsertingLlamaATB<Qwen2AudioConfig> {
  readonly name = 'qwen2_audio';
  protected readonly encoderModule: AudioTower;

  constructor(config: Qwen2AudioConfig, weights: Weights) {
    super(config, weights, NAMES);
    this.encoderModule = new AudioTower(config.audio, weights, config.hiddenSize);
  }
}

export const Qwen2AudioRouter = routerOf(QWEN2_AUDIO_CONFIG, FlashQwen2AudioForCausalLMATB, {
  headNames: { embedding: `${NAMES.root}.embed_tokens`, head: NAMES.head },
  mediaProcessor: async (_, config) => new MelProcessor(config.audioTokenId, config.audio.melBins),
  about: { kind: 'media', features: ['sound of up to 30 s'], reference: 'transformers' },
});
registerModel('qwen2_audio', Qwen2AudioRouter);
