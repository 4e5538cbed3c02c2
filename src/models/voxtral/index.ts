import { registerModel, routerOf } from '../../router/index.js';
import { mergedPatches, sound } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { RowGroups, SoundTower, WhisperFront, whisperLayers, whisperNorm } from '../base/audio/index.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { headNamesWithin } from '../base/text-within.js';
import { RowProjector } from '../base/vision/index.js';
import { VOXTRAL_CHAT } from './chat-format.js';
import { VOXTRAL_CONFIG, type VoxtralConfig } from './config.js';
import { voxtralProcessor } from './processor.js';

export { VOXTRAL_CONFIG } from './config.js';

const TEXT = 'language_model';

/** Llama that hears by Whisper's encoder, half minute by half minute (arXiv:2507.13264). */
export class FlashVoxtralForCausalLMATB extends FlashInsertingATB<VoxtralConfig> {
  readonly name = 'voxtral';
  protected readonly encoderModule: SoundTower;

  constructor(config: VoxtralConfig, weights: Weights) {
    super(config, weights, TEXT);
    const { audio, rowsOfToken } = config;
    const { maxPositions, hiddenSize, melBins } = audio;
    const tower = weights.at('audio_tower');
    const positions = tower.get('embed_positions.weight', [maxPositions, hiddenSize]);
    const projector = new RowProjector(weights.at('multi_modal_projector'), {
      ...{ inSize: audio.intermediateSize, outSize: config.hiddenSize, hasBias: false, act: 'gelu' },
    });
    this.encoderModule = new SoundTower(
      new WhisperFront(tower, audio, positions),
      whisperLayers(tower.at('layers'), audio),
      new RowGroups(audio.numLayers, weights, whisperNorm(tower.at('layer_norm'), hiddenSize), projector),
      [sound(melBins), mergedPatches(rowsOfToken)],
    );
  }
}

export const VoxtralRouter = routerOf(VOXTRAL_CONFIG, FlashVoxtralForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  mediaProcessor: voxtralProcessor,
  chatFormat: () => VOXTRAL_CHAT,
  about: {
    kind: 'media',
    features: ['sound of any length by half minutes', 'four rows of its encoder a token', 'text of llama'],
    reference: 'transformers',
  },
});
registerModel('voxtral', VoxtralRouter);
