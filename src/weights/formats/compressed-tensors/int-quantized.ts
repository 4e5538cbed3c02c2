import { groupsOf, requireIntegers } from '../../integer-rows.js';
import type { QuantDesc, RowReader } from '../../quantization.js';
import { asFloats, times } from '../../weight-changes.js';
import type { Compressor } from './compressor.js';
import { groupSizeOf, scalesOf } from './group-scales.js';
import type { QuantArgs, Scheme } from './schemes.js';

/**
 * `weight` i8 [n, k], `weight_scale` [n, groups] and `weight_zero_point` i8 [n, groups]: a weight is scale * (q - z).
 * Activations become int8 where the weight has one scale for each output, and the configuration wants a scale for each token
 * or has one for all, `input_scale`, without zero points.
 */
export const intQuantized: Compressor = {
  format: 'int-quantized',
  weight: 'weight',
  quantOf({ scheme, input }) {
    const { weights } = scheme;
    weights.fields.oneOf('type', ['int'] as const);
    weights.fields.oneOf('num_bits', [8] as const);
    const groupSize = groupSizeOf(weights);
    if (hasStaticInputs(scheme)) {
      const known = input ?? { scale: 1, offset: 0 };
      return { desc: 'W8A8', groupSize, input: known, rows: rows(weights, groupSize, known.scale) };
    }
    const desc: QuantDesc = quantisesTokens(scheme) ? 'W8A8_DYNAMIC' : 'W8A16';
    return { desc, groupSize, rows: rows(weights, groupSize) };
  },
  quantisesInputs: (scheme) => quantisesTokens(scheme) || hasStaticInputs(scheme),
};

/** Whether inputs become int8 as DynamicQuant makes them. */
const quantisesTokens = (scheme: Scheme): boolean =>
  wantsInt8(scheme) && scheme.inputs?.strategy === 'token' && scheme.inputs.isDynamic;

/** Whether they do by one scale for all. */
export const hasStaticInputs = (scheme: Scheme): boolean =>
  wantsInt8(scheme) && scheme.inputs?.strategy === 'tensor' && !scheme.inputs.isDynamic;

function wantsInt8({ weights, inputs }: Scheme): boolean {
  if (inputs === undefined || !weights.isSymmetric || groupSizeOf(weights) !== 0) return false;
  return inputs.bits === 8 && inputs.type === 'int' && inputs.isSymmetric;
}

const rows =
  (args: QuantArgs, groupSize: number, inputScale = 1): RowReader =>
  (weights, linear) => {
    const { name, outFeatures, inFeatures } = linear;
    const weight = requireIntegers(weights.get(`${name}.weight`, [outFeatures, inFeatures]));
    const scale = times(scalesOf(weights, linear, args, groupSize), inputScale);
    if (args.isSymmetric) return { weight, scale };
    const zeros = weights.get(`${name}.weight_zero_point`, [outFeatures, groupsOf(inFeatures, groupSize)]);
    return { weight, scale, offset: times(asFloats(zeros), -1) };
  };
