import { groupsOf } from '../../integer-rows.js';
import type { LinearToRead } from '../../quantization.js';
import type { NamedTensors, TensorRef } from '../../tensor-ref.js';
import { asFloats } from '../../weight-changes.js';
import { sharedScale } from '../shared-scale.js';
import type { QuantArgs } from './schemes.js';

/** How many input channels share a scale; 0: all of an output's. Throws WEIGHT_QUANT_DESCRIPTION. */
export function groupSizeOf({ fields }: QuantArgs): number {
  const strategy = fields.oneOf('strategy', ['channel', 'group', 'tensor'] as const);
  return strategy === 'group' ? fields.groupSize() : 0;
}

/** `weight_scale` as [n, groups]: [n, groups] in the files, or one number for all outputs. */
export function scalesOf(
  weights: NamedTensors,
  { name, outFeatures, inFeatures }: LinearToRead,
  args: QuantArgs,
  groupSize: number,
): TensorRef {
  const full = `${name}.weight_scale`;
  if (args.strategy !== 'tensor') return weights.get(full, [outFeatures, groupsOf(inFeatures, groupSize)]);
  return sharedScale(weights.get(full, [1]), outFeatures);
}

/** The one `weight_zero_point` of a tensor, i8 [1] and never in words, for each of its outputs. */
export const sharedZero = (weights: NamedTensors, { name, outFeatures }: LinearToRead): TensorRef =>
  sharedScale(asFloats(weights.get(`${name}.weight_zero_point`, [1])), outFeatures);
