import { NVFP4_FORM, nvfp4Weight } from '../nvfp4.js';
import type { Compressor } from './compressor.js';

/**
 * `weight_packed` u8 [n, k / 2], two e2m1 to a byte, the first in the lower half; `weight_scale` e4m3 [n, k / 16]; and
 * `weight_global_scale` f32 [1]: a weight is number * (scale / global scale), in bf16.
 */
export const nvfp4PackQuantized: Compressor = {
  format: 'nvfp4-pack-quantized',
  weight: 'weight_packed',
  quantOf({ scheme: { weights: args }, coded = NVFP4_FORM }) {
    args.fields.oneOf('type', ['float'] as const);
    args.fields.oneOf('num_bits', [4] as const);
    args.fields.oneOf('group_size', [16] as const);
    return coded;
  },
  coded: (source, fields, linear) =>
    nvfp4Weight(source, fields, linear, {
      says: 'that it is quantised by nvfp4-pack-quantized',
      weight: 'weight_packed',
      world: 'weight_global_scale',
      scaleOf: (scale, world) => scale / world,
    }),
};
