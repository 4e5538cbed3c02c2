import { AtbError } from '../errors.js';
import { integerForm, type QuantForm, type RowReader } from './quantization.js';
import type { NamedTensors, TensorRef } from './tensor-ref.js';
import { asFloats, times, transposed } from './weight-changes.js';
import { requireStoredAs } from './weights.js';

/**
 * Reads integers that lie in the files as MindIE has them: `weight` int8 [n, k], or [n, k / 2] with two 4-bit integers in
 * each byte; `weight_scale` [n, groups], and perhaps `weight_offset`: zeros, or with `hasOffset` what is taken from the
 * integers (MindIE negates it when it loads it).
 * Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_CHANGE_INVALID.
 */
export const integerRows =
  (form: QuantForm & { readonly hasOffset?: boolean }): RowReader =>
  (weights, { name, outFeatures, inFeatures, transposed: isTransposed }) => {
    const { bits, groupSize } = integerForm(form);
    if (bits === 4 && isTransposed) refuseTransposed(weights, name);
    const shape = [outFeatures, (inFeatures * bits) / 8];
    const found = weights.get(`${name}.weight`, isTransposed ? shape.toReversed() : shape);
    const groups = [outFeatures, groupsOf(inFeatures, groupSize)];
    const weight = requireIntegers(isTransposed ? transposed(found) : found);
    const scale = weights.get(`${name}.weight_scale`, groups);
    const offset = `${name}.weight_offset`;
    if (form.hasOffset) return { weight, scale, offset: times(asFloats(weights.get(offset, groups)), -1) };
    return { weight, scale, mustBeZero: weights.getOptional(offset, groups) };
  };

/** Groups of input channels in a row. */
export const groupsOf = (inFeatures: number, groupSize: number): number =>
  groupSize === 0 ? 1 : Math.ceil(inFeatures / groupSize);

/** A byte holds two integers of a row, which a transpose would tear apart. */
function refuseTransposed(weights: NamedTensors, name: string): never {
  throw new AtbError('WEIGHT_CHANGE_INVALID', {
    name: weights.path(`${name}.weight`),
    change: 'transposed',
    expected: 'floats or 8-bit integers',
    found: '4-bit integers',
  });
}

export const requireIntegers = (ref: TensorRef): TensorRef => requireStoredAs(ref, ['i8', 'u8']);
