import { DECODER_KINDS, ENCODE, ENCODE_SECOND, type GraphKind } from '../../graph/graph-kind.js';
import type { EncoderInput } from '../../media/index.js';
import { type HeadNames, registerModel, routerOf } from '../../router/index.js';
import {
  ENCODER_SINUSOIDS,
  encoderSinusoids,
  pairedRows,
  sound,
  windowLens,
} from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import { PairMeans, SoundTower, WhisperFront, whisperLayers, whisperNorm } from '../base/audio/index.js';
import { FlashMropeForCausalLMATB } from '../base/vision/index.js';
import { Qwen25vlVisionTower } from '../qwen2_5_vl/index.js';
import { QWEN2_5_OMNI_CONFIG, type Qwen25OmniConfig } from './config.js';
import { qwen25OmniProcessor } from './processor.js';

export { QWEN2_5_OMNI_CONFIG, SPEECH_KEYS } from './config.js';

/** How many rows of sound see each other. */
const WINDOWS = 'sound_window_len';

/** Rows of a sound, window by window. */
const windowsOf =
  (window: number) =>
  ({ rows }: EncoderInput) =>
    Int32Array.from({ length: Math.ceil(rows / window) }, (_, index) =>
      Math.min(window, rows - index * window),
    );

/** Whisper's encoder that convolves and looks through windows of 2 s (arXiv:2503.20215, section 2.1). */
function omniSoundTower(audio: Qwen25OmniConfig['audio'], tower: Weights): SoundTower {
  const { hiddenSize, melBins, window, outSize: outFeatures } = audio;
  const parts = [{ name: 'proj', outFeatures }] as const;
  return new SoundTower(
    new WhisperFront(tower, audio, ENCODER_SINUSOIDS),
    whisperLayers(tower.at('layers'), audio, { seqLen: WINDOWS }),
    new PairMeans(
      whisperNorm(tower.at('ln_post'), hiddenSize),
      Linear.load(tower, { parts, inFeatures: hiddenSize, hasBias: true }),
    ),
    [
      sound(melBins, window),
      pairedRows,
      encoderSinusoids(window, hiddenSize),
      windowLens(windowsOf(window), WINDOWS),
    ],
  );
}

/** Qwen2.5-VL that hears, too: the thinker, which writes. The talker, which speaks, is left out. */
export class FlashQwen25OmniForCausalLMATB extends FlashMropeForCausalLMATB<Qwen25OmniConfig> {
  readonly name = 'qwen2_5_omni';
  override readonly graphKinds: readonly GraphKind[] = [...DECODER_KINDS, ENCODE, ENCODE_SECOND];
  protected readonly encoderModule: Qwen25vlVisionTower;
  protected override readonly secondModule: SoundTower;

  constructor(config: Qwen25OmniConfig, weights: Weights) {
    const own = config.isThinker ? weights.at('thinker') : weights;
    super(config, own);
    this.encoderModule = new Qwen25vlVisionTower(config.vision, own.at('visual'), { q: 'q', k: 'k', v: 'v' });
    this.secondModule = omniSoundTower(config.audio, own.at('audio_tower'));
  }
}

/** What the head and the embedding are called, within a thinker or alone. */
export function omniHeadNames({ isThinker }: { readonly isThinker: boolean }): HeadNames {
  const root = isThinker ? 'thinker.' : '';
  return { embedding: `${root}model.embed_tokens`, head: `${root}lm_head` };
}

export const Qwen25OmniRouter = routerOf(QWEN2_5_OMNI_CONFIG, FlashQwen25OmniForCausalLMATB, {
  headNames: omniHeadNames,
  // What speaks, and what stands around its sound.
  harmlessTensors: [/^(talker|token2wav)\./, /audio_tower\.audio_bos_eos_token\.weight$/],
  mediaProcessor: qwen25OmniProcessor,
  about: {
    kind: 'media',
    features: ['as qwen2_5_vl', 'sound in windows of 2 s', 'writes, does not speak'],
    reference: 'transformers',
  },
});
registerModel('qwen2_5_omni', Qwen25OmniRouter);
