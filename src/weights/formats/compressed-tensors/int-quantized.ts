import { groupsOf, requireIntegers } from '../../integer-rows.js';
import type { RowReader } from '../../quantization.js';
import { asFloats, times, unpaired } from '../../weight-changes.js';
import type { Compressor, SchemedLinear } from './compressor.js';
import { scalesOf, sharedZero } from './group-scales.js';
import { type IntegerProduct, integerProduct, quantisesInputs } from './int8-inputs.js';

/**
 * `weight` i8 [n, k], of 4 bits too, `weight_scale` [n, groups] and `weight_zero_point` i8 [n, groups]: a weight is
 * scale * (q - z).
 */
export const intQuantized: Compressor = {
  format: 'int-quantized',
  weight: 'weight',
  quantOf(linear) {
    const { bits, inputScale, ...product } = integerProduct(linear);
    const { fields } = linear.scheme.weights;
    if (linear.channels) fields.refuse('actorder', 'null: bytes are read in the order of channels', 'group');
    return { ...product, rows: rows(linear, { ...product, bits, inputScale }) };
  },
  quantisesInputs,
};

const rows =
  (
    { scheme: { weights: args } }: SchemedLinear,
    { bits, groupSize, inputScale }: IntegerProduct,
  ): RowReader =>
  (weights, linear) => {
    const { name, outFeatures, inFeatures } = linear;
    const bytes = requireIntegers(weights.get(`${name}.weight`, [outFeatures, inFeatures]));
    const weight = bits === 4 ? unpaired(bytes) : bytes;
    const scale = times(scalesOf(weights, linear, args, groupSize), inputScale);
    if (args.isSymmetric) return { weight, scale };
    if (args.strategy === 'tensor') return { weight, scale, offset: times(sharedZero(weights, linear), -1) };
    const zeros = weights.get(`${name}.weight_zero_point`, [outFeatures, groupsOf(inFeatures, groupSize)]);
    return { weight, scale, offset: times(asFloats(zeros), -1) };
  };
