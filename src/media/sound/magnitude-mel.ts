import { MEL_HOP, MEL_RATE } from './log-mel.js';
import { Magnitudes } from './magnitudes.js';
import { HTK, heardBy, KALDI, melFilters } from './mel-filters.js';

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
  /**
   * Whether spectra are Kaldi's: Hamming windows, powers, and triangles on its own scale; else Hann windows, magnitudes,
   * HTK's.
   */
  readonly isOfKaldi?: boolean;
  /** What samples are multiplied by; 1 when absent. */
  readonly gain?: number;
  /** Whether its mean is taken from each frame first; false when absent. */
  readonly removesMean?: boolean;
  /** Of each bin, what is taken from it and what it is then divided by; nothing when absent. */
  readonly means?: readonly number[] | undefined;
  readonly deviations?: readonly number[] | undefined;
}

/**
 * The log-mel spectrogram of the Universal Speech Model (arXiv:2303.01037) of sound at 16 kHz, in f64: Hann windows each
 * 10 ms, magnitudes, triangles on HTK's mel scale, natural logarithms (transformers 5.24, `Gemma3nAudioFeatureExtractor` and
 * `Gemma4AudioFeatureExtractor`), or Kaldi's (`Phi4MultimodalFeatureExtractor`, `FunAsrNanoFeatureExtractor`). Behind its end a sound is silent. Returns [frames, bins] in f32.
 */
export function magnitudeMel(samples: Float32Array, frames: number, by: MagnitudeMel): Float32Array {
  const { bins, window, size, lead, preemphasis, floor, addsFloor, means, deviations, isOfKaldi } = by;
  const { gain = 1, removesMean = false } = by;
  const spread = { bins, frequencies: size / 2 + 1, top: MEL_RATE / 2, low: by.low, high: by.high };
  const filters = melFilters(isOfKaldi ? KALDI : HTK, spread);
  const [lift, swing, period] = isOfKaldi ? [0.54, 0.46, window - 1] : [0.5, 0.5, window];
  const weights = Float64Array.from(
    { length: window },
    (_, n) => gain * (lift - swing * Math.cos((2 * Math.PI * n) / period)),
  );
  const [magnitudes, frame] = [new Magnitudes(size), new Float64Array(window)];
  const spectrum = new Float64Array(spread.frequencies);
  const values = new Float32Array(frames * bins);
  for (let i = 0; i < frames; i++) {
    const first = i * MEL_HOP - lead;
    let mean = 0;
    if (removesMean) {
      for (let n = 0; n < window; n++) mean += samples[first + n] ?? 0;
      mean /= window;
    }
    for (let n = 0; n < window; n++) {
      // The first of a frame takes from itself.
      const before = (samples[first + Math.max(0, n - 1)] ?? 0) - mean;
      const own = (samples[first + n] ?? 0) - mean;
      frame[n] = (own - preemphasis * before) * (weights[n] as number);
    }
    magnitudes.of(frame, spectrum);
    if (isOfKaldi) for (const [k, magnitude] of spectrum.entries()) spectrum[k] = magnitude ** 2;
    for (const [bin, filter] of filters.entries()) {
      const heard = heardBy(filter, spectrum);
      const value = Math.log(addsFloor ? heard + floor : Math.max(heard, floor));
      values[i * bins + bin] = (value - (means?.[bin] ?? 0)) / (deviations?.[bin] ?? 1);
    }
  }
  return values;
}
