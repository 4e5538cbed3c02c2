import type { LinearQuant } from '../../quantization.js';
import { e4m3Linear } from '../small-floats.js';
import type { Compressor, SchemedLinear } from './compressor.js';

/** `weight` e4m3 [n, k] and `weight_scale`: [1] for the tensor, [n, 1] for each output, or one number for each block. */
export const floatQuantized: Compressor = {
  format: 'float-quantized',
  weight: 'weight',
  quantOf({ scheme: { weights: args }, stored }: SchemedLinear): LinearQuant {
    args.fields.oneOf('type', ['float'] as const);
    args.fields.oneOf('num_bits', [8] as const);
    const strategy = args.fields.oneOf('strategy', ['channel', 'tensor', 'block'] as const);
    const block = strategy === 'block' ? args.fields.block('block_structure') : undefined;
    return e4m3Linear('weight_scale', stored?.tensor('weight_scale')?.shape, block);
  },
};
