import { type Tensor, toDType } from '../../dtype.js';
import { ropeFrequencies } from './frequencies.js';
import { isLengthDependent, type RopeConfig } from './rope-config.js';

export interface RopeTable {
  /**
   * [positions.length, headDim]; the halves of a row are equal. Where rotaryDim is below headDim, each half ends in
   * elements that turn by nothing: cos 1, sin 0.
   */
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/**
 * Rows of cos and sin for tokens at `positions`, computed in f32 and rounded once to `dtype`. `promptLens[i]` is the
 * prompt length of token i's sequence: where frequencies depend on length ("dynamic", "longrope"), its base is
 * max(promptLen, position + 1), because transformers computes them for the whole prompt at once and, with a cache, for
 * each token after it. Without `promptLens` the base is position + 1.
 */
export function ropeTable(
  rope: RopeConfig,
  positions: ArrayLike<number>,
  dtype: 'f32' | 'f16' | 'bf16',
  promptLens?: ArrayLike<number>,
): RopeTable {
  const { headDim, rotaryDim } = rope;
  const half = headDim / 2;
  const cos = new Float32Array(positions.length * headDim).fill(rotaryDim < headDim ? 1 : 0);
  const sin = new Float32Array(positions.length * headDim);
  const frequenciesFor = frequencyCache(rope);
  for (let row = 0; row < positions.length; row++) {
    const position = positions[row] ?? 0;
    const { inverse, attentionFactor } = frequenciesFor(Math.max(promptLens?.[row] ?? 0, position + 1));
    for (let index = 0; index < rotaryDim / 2; index++) {
      const angle = Math.fround(position * (inverse[index] ?? 0));
      const at = row * headDim + index;
      cos[at] = cos[at + half] = Math.fround(Math.cos(angle)) * attentionFactor;
      sin[at] = sin[at + half] = Math.fround(Math.sin(angle)) * attentionFactor;
    }
  }
  const shape = [positions.length, headDim];
  return { cos: toDType(cos, shape, dtype), sin: toDType(sin, shape, dtype) };
}

/** The tables of all positions from 0 to `length`: what `cos_table` and `sin_table` hold. */
export function fullRopeTable(rope: RopeConfig, length: number, dtype: 'f32' | 'f16' | 'bf16'): RopeTable {
  return ropeTable(
    rope,
    new Int32Array(length).map((_, position) => position),
    dtype,
  );
}

function frequencyCache(rope: RopeConfig): (baseLen: number) => ReturnType<typeof ropeFrequencies> {
  const known = new Map<number, ReturnType<typeof ropeFrequencies>>();
  const dependent = isLengthDependent(rope);
  return (baseLen) => {
    const key = dependent ? baseLen : 0;
    const found = known.get(key) ?? ropeFrequencies(rope, key);
    known.set(key, found);
    return found;
  };
}
