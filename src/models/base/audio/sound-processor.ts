import { AtbError, refuseRequest } from '../../../errors.js';
import { defineConfig, field, integer, only } from '../../../layers/config/index.js';
import {
  beside,
  type EncoderInput,
  FILTER_REACH,
  isWav,
  MAX_MEL_SECONDS,
  MEL_HOP,
  MEL_RATE,
  type MediaFiles,
  type MediaProcessor,
  readWav,
} from '../../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../processor-files.js';

/**
 * What `logMel` does, in the words of transformers 5.24, WhisperFeatureExtractor, which takes `do_normalize` in calls
 * alone.
 */
const WHISPER = defineConfig({
  fields: {
    bins: field('feature_size', integer(1, 10_000), undefined),
    rate: field('sampling_rate', only(MEL_RATE), MEL_RATE),
    hop: field('hop_length', only(MEL_HOP), MEL_HOP),
    window: field('n_fft', only(400), 400),
    seconds: field('chunk_length', integer(1, 10_000), MAX_MEL_SECONDS),
    noise: field('dither', only(0), 0),
  },
});

/**
 * How many seconds files say that are looked at.
 * @throws CONFIG_INVALID for files that want other spectra than Whisper's, REQUEST_INVALID for another number of bins
 */
export async function readMelFiles(folder: ModelFolder, melBins: number): Promise<number> {
  const { bins, seconds } = await readProcessorConfig(folder, WHISPER, 'feature_extractor');
  if (bins !== undefined && bins !== melBins)
    refuseRequest('feature_size', `${melBins}, as num_mel_bins says`, bins);
  return seconds;
}

/** How much of a sound a model hears. */
export interface Hearing {
  readonly seconds: number;
  /** Whether what is longer is cut, as transformers cuts it, or refused. */
  readonly cuts: boolean;
}

/** No model of sound is made for more than 40 minutes. */
export const LONGEST_SOUND: Hearing = { seconds: 2400, cuts: false };

/**
 * A WAV file's samples at 16 kHz. @throws MEDIA_INVALID, MEDIA_UNSUPPORTED for other files and for sound that is too
 * long
 */
async function soundOf(
  { files }: MediaFiles,
  what: string,
  { seconds, cuts }: Hearing,
): Promise<Float32Array> {
  const [file = new Uint8Array()] = files;
  const refuse = (expected: string, found: string): never => {
    throw new AtbError('MEDIA_UNSUPPORTED', { what, expected, found });
  };
  if (!isWav(file)) refuse('a WAV file', 'bytes of another format');
  const { rate, samples: all } = readWav(file, what);
  if (!cuts && all.length > seconds * rate)
    refuse(`at most ${seconds} s of sound`, `${Math.ceil(all.length / rate)} s`);
  // Nobody looks at what comes a second, or a filter, behind the end of what is looked at.
  const heard = { rate, samples: all.subarray(0, (seconds + 1) * rate + FILTER_REACH) };
  const { samples } = await beside('resample', heard, MEL_RATE);
  return cuts ? samples.subarray(0, Math.round(seconds * MEL_RATE)) : samples;
}

/** What an encoder reads of sound at 16 kHz, in stretches of it that follow one another. @throws MEDIA_UNSUPPORTED */
export type ReadsSound = (
  samples: Float32Array,
  media: MediaFiles,
  what: string,
) => Promise<readonly EncoderInput[]>;

/** @throws MEDIA_UNSUPPORTED for sound of which no token comes */
export function refuseShort(samples: Float32Array, milliseconds: number, what: string): never {
  throw new AtbError('MEDIA_UNSUPPORTED', {
    what,
    expected: `at least ${milliseconds} ms of sound`,
    found: `${(samples.length * 1000) / MEL_RATE} ms`,
  });
}

/** Sound of WAV files as frames of a spectrogram. */
export class SoundProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  /** `audioTokenId`: the token that stands for sound. */
  constructor(
    audioTokenId: number | undefined,
    private readonly hearing: Hearing,
    private readonly reads: ReadsSound,
  ) {
    this.placeholders = audioTokenId === undefined ? {} : { audio: audioTokenId };
  }

  /** @throws MEDIA_INVALID, MEDIA_UNSUPPORTED */
  async process(media: MediaFiles, what: string): Promise<readonly EncoderInput[]> {
    return this.reads(await soundOf(media, what, this.hearing), media, what);
  }
}
