import { refuseRequest } from '../../../errors.js';
import { beside, MAX_MEL_SECONDS, MEL_HOP, MEL_RATE, MEL_TAIL, mediaKey } from '../../../media/index.js';
import type { ModelFolder } from '../processor-files.js';
import { type ReadsSound, readMelFiles, refuseShort, SoundProcessor } from './sound-processor.js';

/** How much a model looks at. */
export interface MelCut {
  readonly melBins: number;
  /** What is longer is cut, and what is shorter is followed by silence in the spectrogram. */
  readonly seconds: number;
  /** Frames behind a sound that a convolution sees; 0: it sees zeros there. */
  readonly tail: number;
}

/** What Whisper's convolutions and means of pairs read of a sound: the frames that begin within it. */
export const readsPairs =
  ({ melBins, seconds, tail }: MelCut): ReadsSound =>
  async (samples, media, what) => {
    const length = seconds * MEL_RATE;
    const heard = Math.ceil(Math.min(samples.length, length) / MEL_HOP);
    // The two convolutions, and the mean of pairs behind the encoder.
    const rows = Math.floor((heard - 1) / 2) + 1;
    const count = Math.floor((rows - 2) / 2) + 1;
    if (count < 1) refuseShort(samples, 30, what);
    // What hears the end of a sound counts for how loud it is.
    const frames = Math.min(heard + MEL_TAIL, length / MEL_HOP);
    const all = await beside('logMel', samples, melBins, { samples: length, frames });
    const data = all.subarray(0, Math.min(heard + tail, frames) * melBins);
    return [{ data, rows, count, shape: [1, rows, 1], key: mediaKey(media) }];
  };

/** Sound, of which what is longer than 30 s is cut, as transformers cuts it. @throws as `readMelFiles` */
export async function halfMinuteProcessor(
  folder: ModelFolder,
  audioTokenId: number | undefined,
  melBins: number,
): Promise<SoundProcessor> {
  const seconds = await readMelFiles(folder, melBins);
  if (seconds !== MAX_MEL_SECONDS) refuseRequest('chunk_length', `${MAX_MEL_SECONDS}`, seconds);
  const reads = readsPairs({ melBins, seconds, tail: MEL_TAIL });
  return new SoundProcessor(audioTokenId, { seconds, cuts: true }, reads);
}
