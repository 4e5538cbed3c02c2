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
import type { LayerStep } from '../../layers/decoder/decoder-layers.js';
import { registerModel, routerOf } from '../../router/index.js';
import { pairedRows, type StepInput, sound } from '../../step-inputs/index.js';
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
import type { ModelFolder } from '../base/processor-files.js';
import { aroundText, headNamesWithin, textWithin } from '../base/text-within.js';
import { besideText, dtypeBesideText, RowProjector } from '../base/vision/index.js';

/** Defaults of transformers 5.24, AudioFlamingo3Config and AudioFlamingo3EncoderConfig. */
export const FLAMINGO_FIELDS = {
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
};
export const AUDIO_FLAMINGO3_CONFIG = aroundText(defineConfig({ fields: FLAMINGO_FIELDS }));
export type AudioFlamingo3Config = ReturnType<(typeof AUDIO_FLAMINGO3_CONFIG)['read']>;

/** Where the checkpoint has the model of text. */
export const FLAMINGO_TEXT = 'language_model';

/** What its processor hears at most: what is longer is cut (transformers 5.24, `AudioFlamingo3Processor`). */
const LONGEST = 600;
/** Rows of the encoder in a second. */
const ROWS_A_SECOND = 50;

/** Whisper's encoder and means of pairs of its rows. `before`: what becomes of these before the projector, and what that reads. */
export function flamingoTower(
  { audio, hiddenSize: outSize, projectorBias: hasBias, projectorAct: act }: AudioFlamingo3Config,
  weights: Weights,
  before: {
    readonly step?: (projector: LayerStep) => LayerStep;
    readonly inputs?: readonly StepInput[];
  } = {},
): SoundTower {
  const { hiddenSize: inSize, maxPositions, melBins } = audio;
  const tower = weights.at('audio_tower');
  const sizes = { inSize, outSize, hasBias, act };
  const projector = new RowProjector(weights.at('multi_modal_projector'), sizes);
  return new SoundTower(
    new WhisperFront(tower, audio, tower.get('embed_positions.weight', [maxPositions, inSize])),
    whisperLayers(tower.at('layers'), audio),
    new PairMeans(whisperNorm(tower.at('layer_norm'), inSize), before.step?.(projector) ?? projector),
    [sound(melBins), pairedRows, ...(before.inputs ?? [])],
  );
}

/** Sound of so many seconds, half minute by half minute. @throws as `readMelFiles` */
export async function flamingoProcessor(
  folder: ModelFolder,
  { audioTokenId, audio: { melBins, maxPositions } }: AudioFlamingo3Config,
  seconds: number,
): Promise<SoundProcessor> {
  await readMelFiles(folder, melBins);
  const reads = readsPairs({ melBins, seconds: maxPositions / ROWS_A_SECOND, tail: 2 });
  return new SoundProcessor(audioTokenId, { seconds, cuts: true }, reads);
}

/** Qwen2 that hears as qwen2_audio does, half minute by half minute (arXiv:2507.08128). */
export class FlashAudioFlamingo3ForCausalLMATB extends FlashInsertingATB<AudioFlamingo3Config> {
  readonly name = 'audioflamingo3';
  protected readonly encoderModule: SoundTower;

  constructor(config: AudioFlamingo3Config, weights: Weights) {
    super(config, weights, FLAMINGO_TEXT);
    this.encoderModule = flamingoTower(config, weights);
  }
}

export const AudioFlamingo3Router = routerOf(AUDIO_FLAMINGO3_CONFIG, FlashAudioFlamingo3ForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, FLAMINGO_TEXT),
  mediaProcessor: (folder, config) => flamingoProcessor(folder, config, LONGEST),
  about: {
    kind: 'media',
    features: ['as qwen2_audio', 'sound of up to 10 minutes by half minutes'],
    reference: 'transformers',
  },
});
registerModel('audioflamingo3', AudioFlamingo3Router);
