import { groupsOf, requireIntegers } from '../integer-rows.js';
import type { LinearQuant } from '../quantization.js';
import { timesRows, unpacked, unpaired } from '../weight-changes.js';
import type { StoredLinear } from './format.js';

export const W4A8 = 'W4A8_DYNAMIC';

/** What only its kernels on Ascend want. */
export const W4A8_SPARE = /\.scale_bias$/;

/**
 * W4A8 as msmodelslim writes it and vllm-ascend reads it: `weight_scale` [n, 1], with groups `weight_scale_second` [n,
 * groups] too, and a weight is integer * (scale * second). `weight` is int8 [n / 2, k] with those of two outputs in a byte,
 * the first in its lower half, or [n, k] with one in each, as older versions have it. Undefined for what lies as
 * `integerRows` reads it.
 */
export function w4a8Linear({ tensor }: StoredLinear, groupSize: number): LinearQuant | undefined {
  const [outputs, rows] = [tensor('weight_scale')?.shape[0] ?? 0, tensor('weight')?.shape[0] ?? 0];
  const hasPairs = 2 * rows === outputs;
  if (outputs === 0 || !(hasPairs || groupSize === 0 || tensor('weight_scale_second'))) return undefined;
  return {
    desc: W4A8,
    groupSize,
    rows: (weights, { name, outFeatures: n, inFeatures: k }) => {
      const first = weights.get(`${name}.weight_scale`, [n, 1]);
      const groups = [n, groupsOf(k, groupSize)];
      const zeros = [
        weights.getOptional(`${name}.weight_offset`, [n, 1]),
        weights.getOptional(`${name}.weight_offset_second`, groups),
      ];
      const bytes = requireIntegers(weights.get(`${name}.weight`, [hasPairs ? n / 2 : n, k]));
      const held = { bits: 4, axis: 0, count: n, minus: 8, signed: true } as const;
      return {
        weight: hasPairs ? unpacked(bytes, held, 'i8') : unpaired(bytes),
        scale: groupSize === 0 ? first : timesRows(weights.get(`${name}.weight_scale_second`, groups), first),
        mustBeZero: zeros.filter((ref) => ref !== undefined),
      };
    },
  };
}
