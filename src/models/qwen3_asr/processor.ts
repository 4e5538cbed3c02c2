import { refuseRequest } from '../../errors.js';
import { defineConfig, field, integer } from '../../layers/config/index.js';
import { beside, type EncoderInput, MEL_HOP, mediaKey } from '../../media/index.js';
import { planesOf } from '../../step-inputs/index.js';
import {
  LONGEST_SOUND,
  type ReadsSound,
  readMelFiles,
  refuseShort,
  SoundProcessor,
} from '../base/audio/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import type { Qwen3AsrConfig } from './config.js';

const COUNT = integer(0, 1_000_000);

/** Defaults of transformers 5.24, Qwen3ASRFeatureExtractor, beside Whisper's. */
const EXTRACTOR = defineConfig({
  fields: {
    halfStretch: field('n_window', COUNT, undefined),
    /** Samples: a sound that has fewer is followed by silence. */
    shortest: field('min_length', COUNT, 8000),
  },
});

/**
 * Sound in windows of stretches, of which the last is filled up with zeros. What is in a window sees nothing else, so that
 * each is encoded by itself. `shortest`: samples; a sound that has fewer is followed by silence.
 */
export const readsStretches = (
  { melBins, stretchFrames, stretchesOfWindow }: Qwen3AsrConfig['audio'],
  shortest: number,
): ReadsSound => {
  const [, , second, third] = planesOf({ high: melBins, wide: stretchFrames });
  const perWindow = stretchFrames * stretchesOfWindow;
  return async (samples, media, what): Promise<EncoderInput[]> => {
    const all = Math.max(samples.length, shortest);
    const frames = Math.floor(all / MEL_HOP);
    if (frames === 0) refuseShort(samples, 10, what);
    const mel = await beside('logMel', samples, melBins, { samples: all, frames });
    return Array.from({ length: Math.ceil(frames / perWindow) }, (_, window) => {
      const heard = mel.slice(window * perWindow * melBins, (window + 1) * perWindow * melBins);
      const known = heard.length / melBins;
      const stretches = Math.ceil(known / stretchFrames);
      const data = new Float32Array(stretches * stretchFrames * melBins);
      data.set(heard);
      const [whole, rest] = [Math.floor(known / stretchFrames), known % stretchFrames];
      const count = whole * third.wide + (rest > 0 ? planesOf({ high: 1, wide: rest })[3].wide : 0);
      const rows = stretches * second.high * second.wide;
      return { data, rows, count, shape: [1, count, 1], key: mediaKey(media, window) };
    });
  };
};

/**
 * Whole sounds, of which half a second is the shortest (transformers 5.24, `Qwen3ASRFeatureExtractor`).
 * @throws as `readMelFiles`, REQUEST_INVALID for stretches of another length
 */
export async function qwen3AsrProcessor(
  folder: ModelFolder,
  { audioTokenId, audio }: Qwen3AsrConfig,
): Promise<SoundProcessor> {
  const { melBins, stretchFrames } = audio;
  await readMelFiles(folder, melBins);
  const { halfStretch, shortest } = await readProcessorConfig(folder, EXTRACTOR, 'feature_extractor');
  if (halfStretch !== undefined && 2 * halfStretch !== stretchFrames)
    refuseRequest('n_window', `${stretchFrames / 2}, as audio_config says`, halfStretch);
  return new SoundProcessor(audioTokenId, LONGEST_SOUND, readsStretches(audio, shortest));
}
