import { refuseRequest } from '../../../errors.js';
import {
  beside,
  type EncoderInput,
  MAX_MEL_SECONDS,
  MEL_HOP,
  MEL_RATE,
  MEL_TAIL,
  mediaKey,
} from '../../../media/index.js';
import type { ModelFolder } from '../processor-files.js';
import { type ReadsSound, readMelFiles, refuseShort, SoundProcessor } from './sound-processor.js';

/** How much a model looks at. */
export interface MelCut {
  readonly melBins: number;
  /** Of a stretch, whose spectrogram is its own: what is shorter is followed by silence there. */
  readonly seconds: number;
  /** Frames behind a sound that a convolution sees; 0: it sees zeros there. */
  readonly tail: number;
}

/**
 * What Whisper's convolutions and means of pairs read of sound, stretch by stretch: the frames that begin within it.
 */
export const readsPairs =
  (cut: MelCut): ReadsSound =>
  async (samples, media, what) => {
    const length = Math.round(cut.seconds * MEL_RATE);
    const inputs: EncoderInput[] = [];
    for (let stretch = 0; stretch * length < samples.length; stretch++) {
      // A view would bring all of the sound to the thread that computes.
      const own = samples.slice(stretch * length, (stretch + 1) * length);
      const input = await pairsOf(own, length, cut, mediaKey(media, stretch));
      // What is left of a sound may be too short for a token.
      if (input.count > 0) inputs.push({ ...input, stretch });
    }
    return inputs.length > 0 ? inputs : refuseShort(samples, 30, what);
  };

async function pairsOf(
  samples: Float32Array,
  length: number,
  { melBins, tail }: MelCut,
  key: Int32Array,
): Promise<EncoderInput> {
  const heard = Math.ceil(samples.length / MEL_HOP);
  // The two convolutions, and the mean of pairs behind the encoder.
  const rows = Math.floor((heard - 1) / 2) + 1;
  const count = Math.floor((rows - 2) / 2) + 1;
  // What hears the end of a sound counts for how loud it is.
  const frames = Math.min(heard + MEL_TAIL, length / MEL_HOP);
  const all = await beside('logMel', samples, melBins, { samples: length, frames });
  const data = all.subarray(0, Math.min(heard + tail, frames) * melBins);
  return { data, rows, count, shape: [1, rows, 1], key };
}

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
