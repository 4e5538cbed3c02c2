import type { LinearQuant } from '../../quantization.js';
import { outputScales } from '../small-floats.js';
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
    return {
      desc: 'FP8',
      groupSize: block?.channels ?? 0,
      rows: (weights, { name, outFeatures, inFeatures }) => {
        const shape = stored?.tensor('weight_scale')?.shape ?? [];
        const scale = `${name}.weight_scale`;
        return {
          weight: weights.get(`${name}.weight`, [outFeatures, inFeatures]),
          scale: outputScales(weights, scale, [outFeatures, inFeatures], shape, block),
        };
      },
    };
  },
  note: ({ inputs }) =>
    inputs &&
    'activations stay floats, where it says that they are quantised: results are closer to the float model',
};
