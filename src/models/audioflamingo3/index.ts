import {
  activation,
  defineConfig,
  field,
  flag,
  nested,
  required,
  text,
  tokenField,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { pairedRows, sound } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import {
  audioFields,
  LARGE_WHISPER,
  PairMeans,
  readMelFiles,
  readsPairs,
  SoundProcessor,
  SoundTower,
  sourcePositions,
  TRAINED_AUDIO,
  WhisperFront,
  whisperLayers,
  whisperNorm,
} from '../base/audio/index.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { aroundText, headNamesWithin, textWithin } from '../base/text-within.js';
import { besideText, dtypeBesideText, RowProjector } from '../base/vision/index.js';

/** Defaults of transformers 5.24, AudioFlamingo3Config and AudioFlamingo3EncoderConfig. */
export const AUDIO_FLAMINGO3_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', { model_type: 'qwen2' }),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
      audioTokenId: tokenField('audio_token_id', 151_669),
      projectorAct: activation('projector_hidden_act', 'gelu'),
      projectorBias: field('projector_bias', flag, true),
      audio: nested(
        'audio_config',
        { ...audioFields(LARGE_WHISPER, 'hidden_size'), maxPositions: sourcePositions },
        TRAINED_AUDIO,
      ),
    },
  }),
);
export type AudioFlamingo3Config = ReturnType<(typeof AUDIO_FLAMINGO3_CONFIG)['read']>;

const TEXT = 'language_model';

/** What its processor hears at most: what is longer is cut (transformers 5.24, `AudioFlamingo3Processor`). */
const HEARING = { seconds: 600, cuts: true };
/** Rows of the encoder in a second. */
const ROWS_A_SECOND = 50;

/** Qwen2 that hears as qwen2_audio does, half minute by half minute (arXiv:2507.08128). */
export class FlashAudioFlamingo3ForCausalLMATB extends FlashInsertingATB<AudioFlamingo3Config> {
  readonly name = 'audioflamingo3';
  protected readonly encoderModule: SoundTower;

  constructor(config: AudioFlamingo3Config, weights: Weights) {
    super(config, weights, TEXT);
    const { audio, hiddenSize: outSize, projectorBias: hasBias, projectorAct: act } = config;
    const { hiddenSize: inSize, maxPositions, melBins } = audio;
    const tower = weights.at('audio_tower');
    const projector = new RowProjector(weights.at('multi_modal_projector'), {
      inSize,
      outSize,
      hasBias,
      act,
    });
    this.encoderModule = new SoundTower(
      new WhisperFront(tower, audio, tower.get('embed_positions.weight', [maxPositions, inSize])),
      whisperLayers(tower.at('layers'), audio),
      new PairMeans(whisperNorm(tower.at('layer_norm'), inSize), projector),
      [sound(melBins), pairedRows],
    );
  }
}

export const AudioFlamingo3Router = routerOf(AUDIO_FLAMINGO3_CONFIG, FlashAudioFlamingo3ForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  async mediaProcessor(folder, { audioTokenId, audio: { melBins, maxPositions } }) {
    await readMelFiles(folder, melBins);
    const reads = readsPairs({ melBins, seconds: maxPositions / ROWS_A_SECOND, tail: 2 });
    return new SoundProcessor(audioTokenId, HEARING, reads);
  },
  about: {
    kind: 'media',
    features: ['as qwen2_audio', 'sound of up to 10 minutes by half minutes'],
    reference: 'transformers',
  },
});
registerModel('audioflamingo3', AudioFlamingo3Router);
