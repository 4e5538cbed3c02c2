import { Magnitudes } from './magnitudes.js';
import { HTK, heardBy, type MelFilter, melFilters, SLANEY } from './mel-filters.js';

/** Whisper's numbers. */
export const MEL_RATE = 16_000;
const WINDOW = 400;
export const MEL_HOP = 160;
const HOP = MEL_HOP;
const BINS = WINDOW / 2 + 1;
/** Seconds that are looked at: what is longer is cut, what is shorter is followed by silence. */
export const MAX_MEL_SECONDS = 30;

/** How much of a sound is looked at. */
export interface MelSpan {
  /** Samples: what is longer is cut, what is shorter is followed by silence. At both ends sound is mirrored. */
  readonly samples: number;
  /** Frames that are wanted, one each 10 ms, among them all that are not silent. */
  readonly frames: number;
  /** What counts as log10 of the largest power; that of the sound itself when absent. */
  readonly loudest?: number | undefined;
}

/** Frames behind those that begin within a sound which hear its end. */
export const MEL_TAIL = 2;

/** How powers of a frame's spectrum are heard. */
interface PowerMel {
  readonly filters: readonly MelFilter[];
  /** Of WINDOW samples: their powers go to `result`. */
  powers(frame: Float64Array, result: Float64Array): void;
  /** Of a spectrum. */
  readonly frequencies: number;
}

/**
 * A log-mel spectrogram of sound at 16 kHz, in f64: Hann windows of 25 ms each 10 ms, powers, triangles over them,
 * log10 within 8 of the largest, then (x + 4) / 4. Returns [span.frames, bins] in f32.
 */
function logPowerMel(
  samples: Float32Array,
  { filters, frequencies, ...by }: PowerMel,
  span: MelSpan,
): Float32Array {
  const [length, bins] = [Math.min(samples.length, span.samples), filters.length];
  const values = new Float64Array(span.frames * bins).fill(Math.log10(FLOOR));
  const frame = new Float64Array(WINDOW);
  const power = new Float64Array(frequencies);
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < span.frames; i++) {
    for (let n = 0; n < WINDOW; n++) {
      const at = Math.abs(i * HOP + n - WINDOW / 2);
      const mirrored = at < span.samples ? at : 2 * (span.samples - 1) - at;
      frame[n] = (mirrored < length ? (samples[mirrored] as number) : 0) * (HANN[n] as number);
    }
    // Of silence there is nothing to compute.
    if (frame.every((value) => value === 0)) continue;
    by.powers(frame, power);
    for (const [mel, filter] of filters.entries()) {
      const value = Math.log10(Math.max(heardBy(filter, power), FLOOR));
      values[i * bins + mel] = value;
      if (value > largest) largest = value;
    }
  }
  const { loudest = largest } = span;
  return Float32Array.from(values, (value) => (Math.max(value, loudest - 8) + 4) / 4);
}

/**
 * Whisper's (arXiv:2212.04356, section 2.2; transformers 5.24, `WhisperFeatureExtractor`): triangles on Slaney's mel
 * scale. Returns [span.frames, bins] in f32.
 */
export function logMel(samples: Float32Array, bins: number, span: MelSpan): Float32Array {
  const filters = melFilters(SLANEY, { ...FULL_RANGE, bins, frequencies: BINS });
  const dft = new RealDft();
  const powers = (frame: Float64Array, result: Float64Array): void => dft.powers(frame, result);
  return logPowerMel(samples, { filters, powers, frequencies: BINS }, span);
}

/** Samples, silence included, of which torchaudio's spectra are computed in `GraniteSpeechFeatureExtractor`. */
const PADDED = 512;

/**
 * The same on HTK's mel scale over the spectra of longer frames, silent at their ends (transformers 5.24,
 * `GraniteSpeechFeatureExtractor`). Returns [span.frames, bins] in f32.
 */
export function paddedLogMel(samples: Float32Array, bins: number, span: MelSpan): Float32Array {
  const frequencies = PADDED / 2 + 1;
  const filters = melFilters(HTK, { ...FULL_RANGE, bins, frequencies });
  const magnitudes = new Magnitudes(PADDED);
  const powers = (frame: Float64Array, result: Float64Array): void => {
    magnitudes.of(frame, result);
    for (const [k, magnitude] of result.entries()) result[k] = magnitude ** 2;
  };
  return logPowerMel(samples, { filters, powers, frequencies }, span);
}

/** Of triangles. */
const FULL_RANGE = { low: 0, high: MEL_RATE / 2, top: MEL_RATE / 2 };

/** The least power that a frame has. */
const FLOOR = 1e-10;

/** Of a period, as spectra want it. */
const HANN = Float64Array.from(
  { length: WINDOW },
  (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / WINDOW),
);

/** Powers of a real signal's spectrum. What is mirrored about its beginning is summed first, so that half of the products do. */
class RealDft {
  readonly #half = WINDOW / 2;
  readonly #cos = Float64Array.from({ length: WINDOW }, (_, n) => Math.cos((2 * Math.PI * n) / WINDOW));
  readonly #sin = Float64Array.from({ length: WINDOW }, (_, n) => Math.sin((2 * Math.PI * n) / WINDOW));
  readonly #even = new Float64Array(WINDOW / 2 + 1);
  readonly #odd = new Float64Array(WINDOW / 2 + 1);

  powers(frame: Float64Array, result: Float64Array): void {
    const [half, even, odd] = [this.#half, this.#even, this.#odd];
    even[0] = frame[0] as number;
    even[half] = frame[half] as number;
    for (let n = 1; n < half; n++) {
      const [a, b] = [frame[n] as number, frame[WINDOW - n] as number];
      even[n] = a + b;
      odd[n] = a - b;
    }
    for (let k = 0; k < BINS; k++) {
      let [real, imaginary] = [0, 0];
      for (let n = 0, turn = 0; n <= half; n++) {
        real += (even[n] as number) * (this.#cos[turn] as number);
        imaginary += (odd[n] as number) * (this.#sin[turn] as number);
        turn += k;
        if (turn >= WINDOW) turn -= WINDOW;
      }
      result[k] = real * real + imaginary * imaginary;
    }
  }
}
