import { groupsOf } from '../../integer-rows.js';
import type { RowReader } from '../../quantization.js';
import { times, unpacked, withColumnOrder } from '../../weight-changes.js';
import { wordsOf } from '../small-tensors.js';
import type { Compressor, SchemedLinear } from './compressor.js';
import { groupSizeOf, scalesOf } from './group-scales.js';

/**
 * `weight_packed` i32 [n, k * bits / 32], words of input channels; `weight_scale` [n, groups]; and `weight_zero_point` i32
 * [n * bits / 32, groups], words of outputs. Both hold unsigned numbers, 2^(bits - 1) too large. A weight is scale * (q - z).
 */
export const packQuantized: Compressor = {
  format: 'pack-quantized',
  weight: 'weight_packed',
  quantOf(linear) {
    const { fields } = linear.scheme.weights;
    fields.oneOf('type', ['int'] as const);
    const bits = fields.oneOf('num_bits', [4, 8] as const);
    const groupSize = groupSizeOf(linear.scheme.weights);
    return {
      desc: bits === 4 ? 'W4A16' : 'W8A16',
      groupSize,
      channels: linear.channels,
      rows: rows(linear, bits, groupSize),
    };
  },
};

const rows =
  ({ scheme, channels }: SchemedLinear, bits: 4 | 8, groupSize: number): RowReader =>
  (weights, linear) => {
    const { name, outFeatures, inFeatures } = linear;
    const middle = 2 ** (bits - 1);
    const words = weights.get(`${name}.weight_packed`, [outFeatures, wordsOf(inFeatures, bits)]);
    const integers = unpacked(words, { bits, axis: 1, count: inFeatures, minus: middle }, 'i8');
    const weight = withColumnOrder(integers, channels);
    const scale = scalesOf(weights, linear, scheme.weights, groupSize);
    if (scheme.weights.isSymmetric) return { weight, scale };
    const groups = groupsOf(inFeatures, groupSize);
    const zeros = weights.get(`${name}.weight_zero_point`, [wordsOf(outFeatures, bits), groups]);
    const held = { bits, axis: 0, count: outFeatures, minus: middle } as const;
    return { weight, scale, offset: times(unpacked(zeros, held, 'f32'), -1) };
  };
