import { groupsOf, requireIntegers } from '../../integer-rows.js';
import type { QuantDesc, RowReader } from '../../quantization.js';
import { asFloats, times, unpaired } from '../../weight-changes.js';
import type { Compressor } from './compressor.js';
import { groupSizeOf, scalesOf } from './group-scales.js';
import type { QuantArgs, Scheme } from './schemes.js';

/**
 * `weight` i8 [n, k], of 4 bits too, `weight_scale` [n, groups] and `weight_zero_point` i8 [n, groups]: a weight is
 * scale * (q - z).
 * Activations become int8 where the configuration wants a scale for each token and the weight has 4 bits or one scale for
 * each output; or where that has 8 bits and one scale, and they have one for all, `input_scale`, without zero points.
 */
export const intQuantized: Compressor = {
  format: 'int-quantized',
  weight: 'weight',
  quantOf({ scheme, input }) {
    const { weights } = scheme;
    weights.fields.oneOf('type', ['int'] as const);
    const bits = weights.fields.oneOf('num_bits', [4, 8] as const);
    const groupSize = groupSizeOf(weights);
    if (hasStaticInputs(scheme)) {
      const known = input ?? { scale: 1, offset: 0 };
      return { desc: 'W8A8', groupSize, input: known, rows: rows(weights, groupSize, known.scale) };
    }
    const desc: QuantDesc = quantisesTokens(scheme) ? `W${bits}A8_DYNAMIC` : `W${bits}A16`;
    return { desc, groupSize, rows: rows(weights, groupSize) };
  },
  quantisesInputs: (scheme) => quantisesTokens(scheme) || hasStaticInputs(scheme),
};

/** Whether inputs become int8 as DynamicQuant makes them. */
const quantisesTokens = ({ weights, inputs }: Scheme): boolean =>
  wantsInt8(inputs) &&
  inputs.strategy === 'token' &&
  inputs.isDynamic &&
  (weights.bits === 4 || hasOneScale(weights));

/** Whether they do by one scale for all. */
export const hasStaticInputs = ({ weights, inputs }: Scheme): boolean =>
  wantsInt8(inputs) &&
  inputs.strategy === 'tensor' &&
  !inputs.isDynamic &&
  weights.bits === 8 &&
  hasOneScale(weights);

const wantsInt8 = (inputs: QuantArgs | undefined): inputs is QuantArgs =>
  inputs?.bits === 8 && inputs.type === 'int' && inputs.isSymmetric;

const hasOneScale = (weights: QuantArgs): boolean => weights.isSymmetric && groupSizeOf(weights) === 0;

const rows =
  (args: QuantArgs, groupSize: number, inputScale = 1): RowReader =>
  (weights, linear) => {
    const { name, outFeatures, inFeatures } = linear;
    const bytes = requireIntegers(weights.get(`${name}.weight`, [outFeatures, inFeatures]));
    const weight = args.bits === 4 ? unpaired(bytes) : bytes;
    const scale = times(scalesOf(weights, linear, args, groupSize), inputScale);
    if (args.isSymmetric) return { weight, scale };
    const zeros = weights.get(`${name}.weight_zero_point`, [outFeatures, groupsOf(inFeatures, groupSize)]);
    return { weight, scale, offset: times(asFloats(zeros), -1) };
  };
