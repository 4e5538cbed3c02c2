import { beside, type EncoderInput, MEL_HOP, mediaKey } from '../../media/index.js';
import { LONGEST_SOUND, readMelFiles, SoundProcessor } from '../base/audio/index.js';
import type { ModelFolder } from '../base/processor-files.js';
import type { VoxtralConfig } from './config.js';

/**
 * Sound in stretches of as many frames as the encoder has positions for, the last one followed by silence (transformers
 * 5.24, `VoxtralProcessor`). @throws as `readMelFiles`
 */
export async function voxtralProcessor(
  folder: ModelFolder,
  { audioTokenId, audio: { maxPositions: rows, melBins }, rowsOfToken }: VoxtralConfig,
): Promise<SoundProcessor> {
  await readMelFiles(folder, melBins);
  const [frames, count] = [2 * rows, rows / rowsOfToken];
  return new SoundProcessor(audioTokenId, LONGEST_SOUND, async (samples, media): Promise<EncoderInput[]> => {
    const stretches = Math.ceil(samples.length / (frames * MEL_HOP));
    const all = stretches * frames;
    const mel = await beside('logMel', samples, melBins, { samples: all * MEL_HOP, frames: all });
    return Array.from({ length: stretches }, (_, stretch) => ({
      data: mel.slice(stretch * frames * melBins, (stretch + 1) * frames * melBins),
      ...{ rows, count, shape: [1, rows, 1] as const, key: mediaKey(media, stretch) },
    }));
  });
}
