import { beside, type EncoderInput, MEL_HOP, MEL_RATE, mediaKey } from '../../media/index.js';
import { readMelFiles, refuseShort, SoundProcessor } from '../base/audio/index.js';
import type { ModelFolder } from '../base/processor-files.js';
import { type GlmAsrConfig, ROWS_OF_TOKEN } from './config.js';

/** What its processor hears in seconds: as many whole stretches as fit are read, what is longer is cut. */
const LONGEST = 655;

/**
 * Sound in stretches with a spectrogram each, the last one followed by silence, which is heard, too, but becomes no
 * token (transformers 5.24, `GlmAsrProcessor`). @throws as `readMelFiles`
 */
export async function glmAsrProcessor(
  folder: ModelFolder,
  { audioTokenId, audio: { maxPositions: rows, melBins } }: GlmAsrConfig,
): Promise<SoundProcessor> {
  await readMelFiles(folder, melBins);
  const [frames, length] = [2 * rows, 2 * rows * MEL_HOP];
  const seconds = (Math.floor((LONGEST * MEL_RATE) / length) * length) / MEL_RATE;
  return new SoundProcessor(audioTokenId, { seconds, cuts: true }, async (samples, media, what) => {
    const inputs: EncoderInput[] = [];
    for (let stretch = 0; stretch * length < samples.length; stretch++) {
      // A view would bring all of the sound to the thread that computes.
      const own = samples.slice(stretch * length, (stretch + 1) * length);
      const count = Math.floor(Math.ceil(Math.ceil(own.length / MEL_HOP) / 2) / ROWS_OF_TOKEN);
      // What is left of a sound may be too short for a token.
      if (count === 0) continue;
      const data = await beside('logMel', own, melBins, { samples: length, frames });
      inputs.push({ data, rows, count, shape: [1, rows, 1], key: mediaKey(media, stretch) });
    }
    return inputs.length > 0 ? inputs : refuseShort(samples, 70, what);
  });
}
