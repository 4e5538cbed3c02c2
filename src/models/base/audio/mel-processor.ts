import { AtbError } from '../../../errors.js';
import {
  beside,
  isWav,
  MAX_MEL_FRAMES,
  MEL_RATE,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  readWav,
} from '../../../media/index.js';

/** Sound as frames of a spectrogram, three side by side; what is longer than 30 s is cut, as transformers cuts it. */
export class MelProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  /** `audioTokenId`: the token that stands for sound; `melBins`: of a frame. */
  constructor(
    audioTokenId: number | undefined,
    private readonly melBins: number,
  ) {
    this.placeholders = audioTokenId === undefined ? {} : { audio: audioTokenId };
  }

  /** @throws MEDIA_INVALID, MEDIA_UNSUPPORTED */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const [file = new Uint8Array()] = media.files;
    if (!isWav(file))
      throw new AtbError('MEDIA_UNSUPPORTED', {
        what,
        expected: 'a WAV file',
        found: 'bytes of another format',
      });
    const { samples } = await beside('resample', readWav(file, what), MEL_RATE);
    const { melBins } = this;
    const { data, frames } = await beside('logMel', samples, melBins);
    // The two convolutions, and the mean of pairs behind the encoder.
    const rows = Math.floor((frames - 1) / 2) + 1;
    const count = Math.floor((rows - 2) / 2) + 1;
    if (count < 1)
      throw new AtbError('MEDIA_UNSUPPORTED', {
        what,
        expected: 'at least 30 ms of sound',
        found: `${(samples.length * 1000) / MEL_RATE} ms`,
      });
    const triples = triplesOf(data, melBins, 2 * rows);
    return [{ data: triples, rows, count, shape: [1, rows, 1], key: mediaKey(media) }];
  }
}

/** [count, bins * 3]: of each frame those before it, itself and that behind it, bin by bin; zeros beyond both ends. */
function triplesOf(mel: Float32Array, bins: number, count: number): Float32Array {
  const known = Math.min(mel.length / bins, MAX_MEL_FRAMES);
  const triples = new Float32Array(count * bins * 3);
  for (let frame = 0; frame < count; frame++)
    for (let bin = 0; bin < bins; bin++)
      for (let k = 0; k < 3; k++) {
        const from = frame + k - 1;
        if (from >= 0 && from < known)
          triples[(frame * bins + bin) * 3 + k] = mel[from * bins + bin] as number;
      }
  return triples;
}
