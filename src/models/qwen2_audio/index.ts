import { registerModel, routerOf } from '../../router/index.js';
import { pairedRows, sound } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import {
  halfMinuteProcessor,
  PairMeans,
  SoundTower,
  WhisperFront,
  whisperLayers,
  whisperNorm,
} from '../base/audio/index.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { headNamesWithin } from '../base/text-within.js';
import { QWEN2_AUDIO_CONFIG, type Qwen2AudioConfig } from './config.js';

export * from './config.js';

const TEXT = 'language_model';

/**
 * Qwen2 that hears by Whisper's encoder, of which only the rows within a sound are computed: nobody looks at the others
 * (arXiv:2407.10759, section 2; transformers 5.24, Qwen2AudioEncoder).
 */
export class FlashQwen2AudioForCausalLMATB extends FlashInsertingATB<Qwen2AudioConfig> {
  readonly name = 'qwen2_audio';
  protected readonly encoderModule: SoundTower;

  constructor(config: Qwen2AudioConfig, weights: Weights) {
    super(config, weights, TEXT);
    const { audio, hiddenSize: outFeatures } = config;
    const { hiddenSize, maxPositions, melBins } = audio;
    const tower = weights.at('audio_tower');
    const positions = tower.get('embed_positions.weight', [maxPositions, hiddenSize]);
    const linear = Linear.load(weights.at('multi_modal_projector'), {
      parts: [{ name: 'linear', outFeatures }],
      inFeatures: hiddenSize,
      hasBias: true,
    });
    this.encoderModule = new SoundTower(
      new WhisperFront(tower, audio, positions),
      whisperLayers(tower.at('layers'), audio),
      new PairMeans(whisperNorm(tower.at('layer_norm'), hiddenSize), linear),
      [sound(melBins), pairedRows],
    );
  }
}

export const Qwen2AudioRouter = routerOf(QWEN2_AUDIO_CONFIG, FlashQwen2AudioForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  mediaProcessor: (folder, { audioTokenId, audio }) =>
    halfMinuteProcessor(folder, audioTokenId, audio.melBins),
  about: { kind: 'media', features: ['sound of up to 30 s'], reference: 'transformers' },
});
registerModel('qwen2_audio', Qwen2AudioRouter);
