import type { LinearQuant, QuantDesc } from '../../quantization.js';
import type { SchemedLinear } from './compressor.js';
import { groupSizeOf } from './group-scales.js';
import type { QuantArgs, Scheme } from './schemes.js';

/** How integers are multiplied, and what their scales are multiplied by where sums of integers are scaled once. */
export interface IntegerProduct extends Pick<LinearQuant, 'desc' | 'groupSize' | 'input'> {
  readonly bits: 4 | 8;
  readonly inputScale: number;
}

/**
 * Activations become int8 where the configuration wants a scale for each token and the weight has 4 bits or one scale for
 * each output; or where that has 8 bits and one scale, and they have one for all, `input_scale`, without zero points.
 * Throws WEIGHT_QUANT_DESCRIPTION.
 */
export function integerProduct({ scheme, input }: SchemedLinear): IntegerProduct {
  const { weights } = scheme;
  weights.fields.oneOf('type', ['int'] as const);
  const bits = weights.fields.oneOf('num_bits', [4, 8] as const);
  const groupSize = groupSizeOf(weights);
  if (hasStaticInputs(scheme)) {
    const known = input ?? { scale: 1, offset: 0 };
    return { desc: 'W8A8', groupSize, input: known, bits, inputScale: known.scale };
  }
  const desc: QuantDesc = quantisesTokens(scheme) ? `W${bits}A8_DYNAMIC` : `W${bits}A16`;
  return { desc, groupSize, bits, inputScale: 1 };
}

export const quantisesInputs = (scheme: Scheme): boolean =>
  quantisesTokens(scheme) || hasStaticInputs(scheme);

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
