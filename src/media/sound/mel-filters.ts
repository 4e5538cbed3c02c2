/** The frequencies of a spectrum that a mel looks at, and how much. */
export interface MelFilter {
  readonly first: number;
  readonly weights: Float64Array;
}

/** Where pitches lie that sound equally far from each other. */
export interface MelScale {
  toMel(hz: number): number;
  toHz(mel: number): number;
  /** Whether all triangles have one area; else one height. */
  readonly isEven: boolean;
  /** Whether their sides are straight over pitches; over frequencies when absent. */
  readonly isStraightInMel?: boolean;
}

const [BREAK_HZ, BREAK_MEL] = [1000, 15];
const LOG_STEP = 27 / Math.log(6.4);

/** Slaney's: linear up to 1 kHz, then logarithmic. */
export const SLANEY: MelScale = {
  toMel: (hz) => (hz < BREAK_HZ ? (3 * hz) / 200 : BREAK_MEL + Math.log(hz / BREAK_HZ) * LOG_STEP),
  toHz: (mel) => (mel < BREAK_MEL ? (200 * mel) / 3 : BREAK_HZ * Math.exp((mel - BREAK_MEL) / LOG_STEP)),
  isEven: true,
};

/** HTK's: logarithmic behind the first 700 Hz. */
export const HTK: MelScale = {
  toMel: (hz) => 2595 * Math.log10(1 + hz / 700),
  toHz: (mel) => 700 * (10 ** (mel / 2595) - 1),
  isEven: false,
};

/** Kaldi's: logarithmic behind the first 700 Hz, triangles being such in it. */
export const KALDI: MelScale = {
  toMel: (hz) => 1127 * Math.log(1 + hz / 700),
  toHz: (mel) => 700 * (Math.exp(mel / 1127) - 1),
  isEven: false,
  isStraightInMel: true,
};

/** What triangles cover, in Hz. */
export interface MelSpread {
  readonly bins: number;
  /** Of the spectrum, which goes from 0 to `top`. */
  readonly frequencies: number;
  readonly top: number;
  readonly low: number;
  readonly high: number;
}

/** Triangles over the frequencies of a spectrum, each from the peak of the one before to the peak of the next. */
export function melFilters(scale: MelScale, { bins, frequencies, top, low, high }: MelSpread): MelFilter[] {
  const [from, to] = [scale.toMel(low), scale.toMel(high)];
  const mels = Array.from({ length: bins + 2 }, (_, i) => from + ((to - from) * i) / (bins + 1));
  const { isStraightInMel = false } = scale;
  const edges = isStraightInMel ? mels : mels.map((mel) => scale.toHz(mel));
  return Array.from({ length: bins }, (_, mel) => {
    const [left, centre, right] = edges.slice(mel, mel + 3) as [number, number, number];
    const height = scale.isEven ? 2 / (right - left) : 1;
    const weights = Float64Array.from({ length: frequencies }, (_, k) => {
      const hz = (k * top) / (frequencies - 1);
      const at = isStraightInMel ? scale.toMel(hz) : hz;
      const slope = Math.min((at - left) / (centre - left), (right - at) / (right - centre));
      return Math.max(0, slope) * height;
    });
    const first = weights.findIndex((weight) => weight > 0);
    const last = weights.findLastIndex((weight) => weight > 0);
    return first < 0
      ? { first: 0, weights: new Float64Array() }
      : { first, weights: weights.slice(first, last + 1) };
  });
}

/** What a mel hears of a spectrum. */
export function heardBy({ first, weights }: MelFilter, spectrum: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < weights.length; k++) sum += (weights[k] as number) * (spectrum[first + k] as number);
  return sum;
}
