import { AtbError } from '../errors.js';
import { integerForm, type QuantForm, type RowReader } from './quantization.js';
import { transposed } from './weight-changes.js';
import type { TensorRef, Weights } from './weights.js';

/**
 * Reads integers that lie in the files as MindIE has them: `weight` int8 [n, k], or [n, k / 2] with two 4-bit integers in
 * each byte; `weight_scale` [n, groups], and perhaps `weight_offset`, all of them zero.
 * Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_CHANGE_INVALID.
 */
export const integerRows =
  (form: QuantForm): RowReader =>
  (weights, { name, outFeatures, inFeatures, transposed: isTransposed }) => {
    const { bits, groupSize } = integerForm(form);
    if (bits === 4 && isTransposed) refuseTransposed(weights, name);
    const shape = [outFeatures, (inFeatures * bits) / 8];
    const found = weights.get(`${name}.weight`, isTransposed ? shape.toReversed() : shape);
    const groups = [outFeatures, groupsOf(inFeatures, groupSize)];
    return {
      weight: requireIntegers(isTransposed ? transposed(found) : found),
      scale: weights.get(`${name}.weight_scale`, groups),
      mustBeZero: weights.getOptional(`${name}.weight_offset`, groups),
    };
  };

/** Groups of input channels in a row. */
export const groupsOf = (inFeatures: number, groupSize: number): number =>
  groupSize === 0 ? 1 : Math.ceil(inFeatures / groupSize);

/** A byte holds two integers of a row, which a transpose would tear apart. */
function refuseTransposed(weights: Weights, name: string): never {
  throw new AtbError('WEIGHT_CHANGE_INVALID', {
    name: weights.path(`${name}.weight`),
    change: 'transposed',
    expected: 'floats or 8-bit integers',
    found: '4-bit integers',
  });
}

export function requireIntegers(ref: TensorRef): TensorRef {
  const other = ref.parts.find(({ dtype }) => dtype !== 'i8' && dtype !== 'u8');
  if (other === undefined) return ref;
  const { file = 'the checkpoint', dtype } = other;
  throw new AtbError('WEIGHT_DTYPE_UNSUPPORTED', {
    name: ref.name,
    file,
    found: dtype,
    supported: ['i8', 'u8'],
  });
}
