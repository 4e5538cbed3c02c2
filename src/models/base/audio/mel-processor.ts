import { AtbError, refuseRequest } from '../../../errors.js';
import { defineConfig, field, integer, only } from '../../../layers/config/index.js';
import {
  beside,
  FILTER_REACH,
  isWav,
  MAX_MEL_FRAMES,
  MAX_MEL_SECONDS,
  MEL_RATE,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  readWav,
} from '../../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../processor-files.js';

/** What `logMel` does, in the words of transformers 5.24, WhisperFeatureExtractor. */
const WHISPER = defineConfig({
  fields: {
    bins: field('feature_size', integer(1, 10_000), undefined),
    rate: field('sampling_rate', only(MEL_RATE), MEL_RATE),
    hop: field('hop_length', only(160), 160),
    window: field('n_fft', only(400), 400),
    seconds: field('chunk_length', only(MAX_MEL_SECONDS), MAX_MEL_SECONDS),
    noise: field('dither', only(0), 0),
    normalizes: field('do_normalize', only(false), false),
  },
});

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

  /** @throws CONFIG_INVALID for files that want other spectra than Whisper's, REQUEST_INVALID for another number of bins */
  static async load(
    folder: ModelFolder,
    audioTokenId: number | undefined,
    melBins: number,
  ): Promise<MelProcessor> {
    const { bins } = await readProcessorConfig(folder, WHISPER, 'feature_extractor');
    if (bins !== undefined && bins !== melBins)
      refuseRequest('feature_size', `${melBins}, as num_mel_bins says`, bins);
    return new MelProcessor(audioTokenId, melBins);
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
    const { rate, samples: all } = readWav(file, what);
    // Nobody looks at what comes a second, or a filter, behind the end of what is looked at.
    const heard = { rate, samples: all.subarray(0, (MAX_MEL_SECONDS + 1) * rate + FILTER_REACH) };
    const { samples } = await beside('resample', heard, MEL_RATE);
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
