import { MEL_HOP, MEL_RATE } from './log-mel.js';
import { Magnitudes } from './magnitudes.js';
import { HTK, heardBy, melFilters } from './mel-filters.js';

/** What a spectrogram of magnitudes is made by. */
export interface MagnitudeMel {
  readonly bins: number;
  /** Samples of a frame; frames begin each 10 ms. */
  readonly window: number;
  /** Samples, silence included, of which a spectrum is computed: a power of two. */
  readonly size: number;
  /** Samples of silence before the sound. */
  readonly lead: number;
  /** In Hz, the lowest and highest that are heard. */
  readonly low: number;
  readonly high: number;
  /** How much of the sample before is taken from each. */
  readonly preemphasis: number;
  /** What magnitudes are at least, or what is added to each of them. */
  readonly floor: number;
  readonly addsFloor: boolean;
  /** Of each bin, what is taken from it and what it is then divided by; nothing when absent. */
  readonly means?: readonly number[] | undefined;
  readonly deviations?: readonly number[] | undefined;
}

/**
 * The log-mel spectrogram of the Universal Speech Model (arXiv:2303.01037) of sound at 16 kHz, in f64: Hann windows each
 * 10 ms, magnitudes, triangles on HTK's mel scale, natural logarithms (transformers 5.24, `Gemma3nAudioFeatureExtractor` and
 * `Gemma4AudioFeatureExtractor`). Behind its end a sound is silent. Returns [frames, bins] in f32.
 */
export function magnitudeMel(samples: Float32Array, frames: number, by: MagnitudeMel): Float32Array {
  const { bins, window, size, lead, preemphasis, floor, addsFloor, means, deviations } = by;
  const spread = { bins, frequencies: size / 2 + 1, top: MEL_RATE / 2, low: by.low, high: by.high };
  const filters = melFilters(HTK, spread);
  const hann = Float64Array.from(
    { length: window },
    (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / window),
  );
  const [magnitudes, frame] = [new Magnitudes(size), new Float64Array(window)];
  const spectrum = new Float64Array(spread.frequencies);
  const values = new Float32Array(frames * bins);
  for (let i = 0; i < frames; i++) {
    const first = i * MEL_HOP - lead;
    for (let n = 0; n < window; n++) {
      // The first of a frame takes from itself.
      const before = samples[first + Math.max(0, n - 1)] ?? 0;
      frame[n] = ((samples[first + n] ?? 0) - preemphasis * before) * (hann[n] as number);
    }
    magnitudes.of(frame, spectrum);
    for (const [bin, filter] of filters.entries()) {
      const heard = heardBy(filter, spectrum);
      const value = Math.log(addsFloor ? heard + floor : Math.max(heard, floor));
      values[i * bins + bin] = (value - (means?.[bin] ?? 0)) / (deviations?.[bin] ?? 1);
    }
  }
  return values;
}
