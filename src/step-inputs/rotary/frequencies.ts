import type { FrequencyRecipe, RotaryRecipe } from '../recipe.js';
import type { RopeConfig, RopeScaling } from './rope-config.js';

const f32 = Math.fround;

/**
 * Inverse frequencies [rotaryDim / 2] and the factor on cos and sin, for a sequence of `baseLen` tokens. Formulas and
 * their rounding to f32: transformers 5.23 `modeling_rope_utils.py`. Papers: YaRN arXiv:2309.00071, LongRoPE
 * arXiv:2402.13753; "dynamic" is NTK scaling by u/emozilla, "llama3" is Llama 3.1's.
 */
export function ropeFrequencies(rope: RopeConfig, baseLen: number): Frequencies {
  const found = forwardFrequencies(rope, baseLen);
  return rope.turnsBack ? { ...found, inverse: found.inverse.map((value) => -value) } : found;
}

interface Frequencies {
  readonly inverse: Float32Array;
  readonly attentionFactor: number;
}

function forwardFrequencies(rope: RopeConfig, baseLen: number): Frequencies {
  const { scaling, theta } = rope;
  switch (scaling.type) {
    case 'default':
      return { inverse: plain(rope, theta), attentionFactor: 1 };
    case 'linear':
      return { inverse: plain(rope, theta).map((value) => value / scaling.factor), attentionFactor: 1 };
    case 'proportional': {
      const turn = (value: number, index: number) => (index < scaling.turning ? value / scaling.factor : 0);
      return { inverse: plain(rope, theta).map(turn), attentionFactor: 1 };
    }
    case 'dynamic':
      return { inverse: plain(rope, dynamicTheta(rope, scaling.factor, baseLen)), attentionFactor: 1 };
    case 'llama3':
      return { inverse: plain(rope, theta).map((value) => llama3(value, scaling)), attentionFactor: 1 };
    case 'yarn':
      return { inverse: yarn(rope, scaling), attentionFactor: scaling.attentionFactor };
    case 'longrope': {
      const long = baseLen > scaling.originalMaxPositionEmbeddings;
      const factors = long ? scaling.longFactor : scaling.shortFactor;
      const inverse = powers(rope, theta).map((power, index) => 1 / f32(f32(factors[index] ?? 1) * power));
      return { inverse, attentionFactor: scaling.attentionFactor };
    }
  }
}

/** theta^(2i / rotaryDim). */
function powers({ rotaryDim }: RopeConfig, theta: number): Float32Array {
  return Float32Array.from({ length: rotaryDim / 2 }, (_, index) => theta ** f32((2 * index) / rotaryDim));
}

const plain = (rope: RopeConfig, theta: number): Float32Array =>
  powers(rope, theta).map((power) => 1 / power);

/** transformers computes this in f32, because the length is a tensor there. */
function dynamicTheta(rope: RopeConfig, factor: number, baseLen: number): number {
  const { theta, rotaryDim, maxPositionEmbeddings } = rope;
  if (baseLen <= maxPositionEmbeddings) return theta;
  const stretch = f32(f32(f32(factor * baseLen) / maxPositionEmbeddings) - (factor - 1));
  return f32(theta * f32(stretch ** (rotaryDim / (rotaryDim - 2))));
}

function llama3(inverse: number, scaling: Extract<RopeScaling, { type: 'llama3' }>): number {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings: original } = scaling;
  const wavelength = f32((2 * Math.PI) / inverse);
  if (wavelength > original / lowFreqFactor) return inverse / factor;
  if (wavelength <= original / highFreqFactor) return inverse;
  const smooth = f32(f32(f32(original / wavelength) - lowFreqFactor) / (highFreqFactor - lowFreqFactor));
  return f32(f32(f32(1 - smooth) * inverse) / factor) + f32(smooth * inverse);
}

function yarn(rope: RopeConfig, scaling: Extract<RopeScaling, { type: 'yarn' }>): Float32Array {
  const { rotaryDim, theta } = rope;
  const { factor, betaFast, betaSlow, truncate, originalMaxPositionEmbeddings: original } = scaling;
  // The dimension whose wave turns `rotations` times within the original context.
  const dimOf = (rotations: number): number =>
    (rotaryDim * Math.log(original / (rotations * 2 * Math.PI))) / (2 * Math.log(theta));
  const [low, high] = [dimOf(betaFast), dimOf(betaSlow)];
  const from = Math.max(truncate ? Math.floor(low) : low, 0);
  const to = Math.min(truncate ? Math.ceil(high) : high, rotaryDim - 1);
  const width = from === to ? 0.001 : to - from;
  return powers(rope, theta).map((power, index) => {
    const ramp = Math.min(Math.max(f32(f32(index - from) / width), 0), 1);
    const kept = f32(1 - ramp);
    const interpolated = f32(1 / f32(factor * power));
    return f32(interpolated * f32(1 - kept)) + f32(f32(1 / power) * kept);
  });
}

/** The tables of an embedding as data. */
export function rotaryRecipe(rope: RopeConfig): RotaryRecipe {
  const { headDim, rotaryDim } = rope;
  const { attentionFactor } = ropeFrequencies(rope, 1);
  return { headDim, rotaryDim, attentionFactor, frequencies: frequencyRecipe(rope) };
}

function frequencyRecipe(rope: RopeConfig): FrequencyRecipe {
  const { scaling, theta, maxPositionEmbeddings } = rope;
  const inverse = (baseLen: number): number[] => [...ropeFrequencies(rope, baseLen).inverse];
  switch (scaling.type) {
    case 'dynamic':
      return { by: 'dynamic_length', theta, factor: scaling.factor, maxPositionEmbeddings };
    case 'longrope': {
      const { originalMaxPositionEmbeddings } = scaling;
      const long = inverse(originalMaxPositionEmbeddings + 1);
      return { by: 'long_or_short', short: inverse(1), long, originalMaxPositionEmbeddings };
    }
    default:
      return { by: 'position', inverse: inverse(1) };
  }
}
