import { refuseRequest } from '../../../errors.js';
import {
  defineConfig,
  type Field,
  field,
  flag,
  integer,
  listOf,
  only,
  positive,
} from '../../../layers/config/index.js';
import {
  beside,
  type EncoderInput,
  MAX_MEL_SECONDS,
  type MagnitudeMel,
  MEL_HOP,
  MEL_RATE,
  mediaKey,
} from '../../../media/index.js';
import { wholePlanesOf } from '../../../step-inputs/index.js';
import { type ModelFolder, readProcessorConfig } from '../processor-files.js';
import { refuseShort, SoundProcessor } from './sound-processor.js';

/** What a class of transformers computes, and what it takes where files are silent. */
export interface MagnitudeKind {
  /** Of a frame. */
  readonly milliseconds: number;
  /** In Hz. */
  readonly low: number;
  readonly high: number;
  readonly preemphasis: number;
  /** Whether spectra are of twice as many samples as they need be. */
  readonly isFine: boolean;
  readonly floor: number;
  readonly addsFloor: boolean;
  /** Whether the first frame begins half of its length before the sound. */
  readonly leads: boolean;
}

/** A number for each bin. */
const ofBins = (name: string): Field<readonly number[] | undefined, { readonly bins: number }> => ({
  read(json, { bins }) {
    const found = json.value(name, listOf(positive(1e6, -1e6), 'numbers'));
    if (found && found.length !== bins)
      json.problem(`${name} must have ${bins} numbers, found ${found.length}`);
    return found;
  },
});

/** Keys of `Gemma3nAudioFeatureExtractor` and `Gemma4AudioFeatureExtractor` of transformers 5.24. */
const extractor = (kind: MagnitudeKind) =>
  defineConfig({
    fields: {
      bins: field('feature_size', integer(1, 10_000), 128),
      rate: field('sampling_rate', only(MEL_RATE), MEL_RATE),
      milliseconds: field('frame_length_ms', only(kind.milliseconds), kind.milliseconds),
      hop: field('hop_length_ms', only((1000 * MEL_HOP) / MEL_RATE), undefined),
      low: field('min_frequency', positive(MEL_RATE / 2, -1), kind.low),
      high: field('max_frequency', positive(MEL_RATE / 2), kind.high),
      preemphasis: field('preemphasis', positive(1, -1), kind.preemphasis),
      ofItself: field('preemphasis_htk_flavor', only(true), true),
      isFine: field('fft_overdrive', flag, kind.isFine),
      noise: field('dither', only(0), 0),
      scale: field('input_scale_factor', only(1), 1),
      floor: field('mel_floor', positive(1), kind.floor),
      means: ofBins('per_bin_mean'),
      deviations: ofBins('per_bin_stddev'),
    },
  });

/** How the files say that sound is heard. @throws CONFIG_INVALID, REQUEST_INVALID for another number of bins */
export async function readMagnitudeFiles(
  folder: ModelFolder,
  kind: MagnitudeKind,
  melBins: number,
): Promise<MagnitudeMel> {
  const found = await readProcessorConfig(folder, extractor(kind), 'feature_extractor');
  const { bins, milliseconds, low, high, preemphasis, isFine, floor, means, deviations } = found;
  if (bins !== melBins) refuseRequest('feature_size', `${melBins}, as audio_config says`, bins);
  const window = Math.round((MEL_RATE * milliseconds) / 1000);
  const size = 2 ** Math.ceil(Math.log2(window)) * (isFine ? 2 : 1);
  const lead = kind.leads ? window / 2 : 0;
  const { addsFloor } = kind;
  return { bins, window, size, lead, low, high, preemphasis, floor, addsFloor, means, deviations };
}

/**
 * Whole sounds, of which what is longer than half a minute is cut, as frames of magnitudes; of four frames comes a token.
 * `framesOf`: how many frames a sound of so many samples has; `complete`: of rows one each token, what else becomes of it.
 */
export function magnitudeProcessor(
  audioTokenId: number | undefined,
  mel: MagnitudeMel,
  framesOf: (samples: number) => number,
  complete: (input: EncoderInput, what: string) => EncoderInput = (input) => input,
): SoundProcessor {
  const hearing = { seconds: MAX_MEL_SECONDS, cuts: true };
  return new SoundProcessor(audioTokenId, hearing, async (samples, media, what) => {
    const frames = framesOf(samples.length);
    if (frames <= 0) refuseShort(samples, (1000 * (mel.window - mel.lead + 1)) / MEL_RATE, what);
    const data = await beside('magnitudeMel', samples, frames, mel);
    const [, , { high: count, wide }] = wholePlanesOf(frames, mel.bins);
    const shape = [1, count, 1] as const;
    return [complete({ data, rows: count * wide, count, shape, key: mediaKey(media) }, what)];
  });
}
