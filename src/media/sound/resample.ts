import type { Sound } from './wav.js';

/** Zero crossings of the filter to each side, of the slower rate: samples, where sound gets more of them. */
export const FILTER_REACH = 32;
/** Of Kaiser's window: stop band at about -90 dB. */
const BETA = 9;
/** Of the slower rate's half: where the pass band ends. */
const PASS = 0.945;

/** Kaiser's window needs the modified Bessel function of order 0. */
function bessel(x: number): number {
  let [sum, term] = [1, 1];
  for (let k = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/** The window at steps from its middle to its end, between which it is all but straight. */
const STEPS = 4096;
const WINDOW = Float64Array.from({ length: STEPS + 2 }, (_, step) =>
  bessel(BETA * Math.sqrt(Math.max(0, 1 - (step / STEPS) ** 2))),
);

function windowAt(place: number): number {
  const step = Math.min(1, Math.abs(place)) * STEPS;
  const below = Math.floor(step);
  const [from, to] = [WINDOW[below] as number, WINDOW[below + 1] as number];
  return from + (step - below) * (to - from);
}

/**
 * Places between two samples at which there is a filter at most. Rates without a common divisor would have one for each
 * sample; theirs are moved by 1 / 4096 of a sample at most, which changes a tone by less than what is promised.
 */
const MAX_PHASES = 2048;

/**
 * Sound at another rate, by a windowed sinc (Kaiser, beta 9) over 32 zero crossings to each side: what is below three
 * quarters of half the slower rate keeps its amplitude to 1e-3, and its place. transformers has three resamplers that differ from each
 * other by as much.
 */
export function resample({ rate, samples }: Sound, to: number): Sound {
  if (rate === to) return { rate, samples };
  const divisor = gcd(rate, to);
  const [up, down] = [to / divisor, rate / divisor];
  const cutoff = PASS * Math.min(1, to / rate);
  const reach = Math.ceil(FILTER_REACH / Math.min(1, to / rate));
  const result = new Float32Array(Math.ceil((samples.length * to) / rate));
  const numPhases = Math.min(up, MAX_PHASES);
  // The last stands for the first of the next sample.
  const phases = Array<Float64Array | undefined>(numPhases + 1);
  for (let i = 0; i < result.length; i++) {
    const place = i * down;
    const [centre, phase] = [Math.floor(place / up), Math.round(((place % up) * numPhases) / up)];
    phases[phase] ??= tapsOf(phase / numPhases, cutoff, reach);
    const taps = phases[phase];
    let sum = 0;
    for (let tap = 0; tap < taps.length; tap++) {
      const sample = samples[centre + tap - reach + 1];
      if (sample !== undefined) sum += sample * (taps[tap] as number);
    }
    result[i] = sum;
  }
  return { rate: to, samples: result };
}

/** Weights of the samples from `reach - 1` before to `reach` behind one that lies `offset` behind a sample. */
function tapsOf(offset: number, cutoff: number, reach: number): Float64Array {
  const taps = Float64Array.from({ length: 2 * reach }, (_, tap) => {
    const x = tap - reach + 1 - offset;
    return windowAt(x / reach) * (x === 0 ? cutoff : Math.sin(Math.PI * cutoff * x) / (Math.PI * x));
  });
  // Sound that does not change stays as it is.
  const sum = taps.reduce((all, one) => all + one, 0);
  return taps.map((tap) => tap / sum);
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
