import { groupsOf } from '../../integer-rows.js';
import type { RowReader } from '../../quantization.js';
import { times, unpacked, withColumnOrder } from '../../weight-changes.js';
import { wordsOf } from '../small-tensors.js';
import type { Compressor, SchemedLinear } from './compressor.js';
import { scalesOf, sharedZero } from './group-scales.js';
import { type IntegerProduct, integerProduct, quantisesInputs } from './int8-inputs.js';

/**
 * `weight_packed` i32 [n, k * bits / 32], words of input channels; `weight_scale` [n, groups]; and `weight_zero_point` i32
 * [n * bits / 32, groups], words of outputs. Both hold unsigned numbers, 2^(bits - 1) too large. A weight is scale * (q - z).
 */
export const packQuantized: Compressor = {
  format: 'pack-quantized',
  weight: 'weight_packed',
  quantOf(linear) {
    const { bits, inputScale, ...product } = integerProduct(linear);
    return {
      ...product,
      channels: linear.channels,
      rows: rows(linear, { ...product, bits, inputScale }),
    };
  },
  quantisesInputs,
};

const rows =
  ({ scheme, channels }: SchemedLinear, { bits, groupSize, inputScale }: IntegerProduct): RowReader =>
  (weights, linear) => {
    const { name, outFeatures, inFeatures } = linear;
    const middle = 2 ** (bits - 1);
    const words = weights.get(`${name}.weight_packed`, [outFeatures, wordsOf(inFeatures, bits)]);
    const integers = unpacked(words, { bits, axis: 1, count: inFeatures, minus: middle }, 'i8');
    const weight = withColumnOrder(integers, channels);
    const scale = times(scalesOf(weights, linear, scheme.weights, groupSize), inputScale);
    if (scheme.weights.isSymmetric) return { weight, scale };
    if (scheme.weights.strategy === 'tensor')
      return { weight, scale, offset: times(sharedZero(weights, linear), -1) };
    const groups = groupsOf(inFeatures, groupSize);
    const zeros = weights.get(`${name}.weight_zero_point`, [wordsOf(outFeatures, bits), groups]);
    const held = { bits, axis: 0, count: outFeatures, minus: middle } as const;
    return { weight, scale, offset: times(unpacked(zeros, held, 'f32'), -1) };
  };
