import { groupsOf } from '../../integer-rows.js';
import { asScales } from '../small-floats.js';
import type { Compressor } from './compressor.js';

const GROUP = 32;

/** `weight_packed` u8 [n, k / 2], two e2m1 to a byte, the first in the lower half; `weight_scale` u8 [n, k / 32], exponents. */
export const mxfp4PackQuantized: Compressor = {
  format: 'mxfp4-pack-quantized',
  weight: 'weight_packed',
  quantOf({ scheme: { weights: args } }) {
    args.fields.oneOf('type', ['float'] as const);
    args.fields.oneOf('num_bits', [4] as const);
    args.fields.oneOf('group_size', [GROUP] as const);
    return {
      desc: 'FP4',
      groupSize: GROUP,
      rows: (weights, { name, outFeatures, inFeatures }) => ({
        weight: weights.get(`${name}.weight_packed`, [outFeatures, inFeatures / 2]),
        scale: asScales(weights.get(`${name}.weight_scale`, [outFeatures, groupsOf(inFeatures, GROUP)])),
      }),
    };
  },
};
