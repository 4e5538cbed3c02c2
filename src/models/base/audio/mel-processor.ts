import {
  beside,
  MAX_MEL_FRAMES,
  MAX_MEL_SECONDS,
  MEL_HOP,
  MEL_RATE,
  MEL_TAIL,
  mediaKey,
} from '../../../media/index.js';
import type { ModelFolder } from '../processor-files.js';
import { checkMelFiles, type ReadsSound, refuseShort, SoundProcessor } from './sound-processor.js';

/** Whisper's half minute, of which what is heard is read as one stretch. */
export const readsHalfMinute =
  (melBins: number): ReadsSound =>
  async (samples, media, what) => {
    const length = MAX_MEL_SECONDS * MEL_RATE;
    const heard = Math.ceil(Math.min(samples.length, length) / MEL_HOP);
    // The two convolutions, and the mean of pairs behind the encoder.
    const rows = Math.floor((heard - 1) / 2) + 1;
    const count = Math.floor((rows - 2) / 2) + 1;
    if (count < 1) refuseShort(samples, 30, what);
    const frames = Math.min(heard + MEL_TAIL, MAX_MEL_FRAMES);
    const data = await beside('logMel', samples, melBins, { samples: length, frames });
    return [{ data, rows, count, shape: [1, rows, 1], key: mediaKey(media) }];
  };

/** Sound, of which what is longer than 30 s is cut, as transformers cuts it. @throws as `checkMelFiles` */
export async function halfMinuteProcessor(
  folder: ModelFolder,
  audioTokenId: number | undefined,
  melBins: number,
): Promise<SoundProcessor> {
  await checkMelFiles(folder, melBins);
  return new SoundProcessor(audioTokenId, { seconds: MAX_MEL_SECONDS, cuts: true }, readsHalfMinute(melBins));
}
