import { groupsOf, requireIntegers } from '../../integer-rows.js';
import type { QuantDesc, RowReader } from '../../quantization.js';
import { asFloats, times } from '../../weight-changes.js';
import type { Compressor } from './compressor.js';
import { groupSizeOf, scalesOf } from './group-scales.js';
import type { QuantArgs, Scheme } from './schemes.js';

/**
 * `weight` i8 [n, k], `weight_scale` [n, groups] and `weight_zero_point` i8 [n, groups]: a weight is scale * (q - z).
 * Activations become int8 where the configuration wants a scale for each token and the weight has one for each output.
 */
export const intQuantized: Compressor = {
  format: 'int-quantized',
  weight: 'weight',
  quantOf({ scheme }) {
    const { weights } = scheme;
    weights.fields.oneOf('type', ['int'] as const);
    weights.fields.oneOf('num_bits', [8] as const);
    const groupSize = groupSizeOf(weights);
    const desc: QuantDesc = quantisesTokens(scheme) ? 'W8A8_DYNAMIC' : 'W8A16';
    return { desc, groupSize, rows: rows(weights, groupSize) };
  },
  quantisesInputs: quantisesTokens,
};

/** Whether inputs become int8 as DynamicQuant makes them. */
function quantisesTokens({ weights, inputs }: Scheme): boolean {
  if (inputs === undefined || !weights.isSymmetric || groupSizeOf(weights) !== 0) return false;
  const { bits, type, strategy, isDynamic, isSymmetric } = inputs;
  return bits === 8 && type === 'int' && strategy === 'token' && isDynamic && isSymmetric;
}

const rows =
  (args: QuantArgs, groupSize: number): RowReader =>
  (weights, linear) => {
    const { name, outFeatures, inFeatures } = linear;
    const weight = requireIntegers(weights.get(`${name}.weight`, [outFeatures, inFeatures]));
    const scale = scalesOf(weights, linear, args, groupSize);
    if (args.isSymmetric) return { weight, scale };
    const zeros = weights.get(`${name}.weight_zero_point`, [outFeatures, groupsOf(inFeatures, groupSize)]);
    return { weight, scale, offset: times(asFloats(zeros), -1) };
  };
