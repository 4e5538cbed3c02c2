import { KV_QUANT_MODES, type KvQuantMode, type KvQuantOptions } from '../kv-cache/kv-quant.js';
import {
  GROUP_SIZES,
  QUANTIZE_MODES,
  type QuantizeMode,
  type QuantizeOptions,
} from '../weights/quantization.js';

/** Flags of every command that loads weights. */
export const QUANTIZE_FLAGS = {
  quantize: {
    choices: QUANTIZE_MODES,
    describe: 'make integers of the weights of a float checkpoint while it is loaded',
  },
  quant_group_size: {
    type: 'number',
    choices: GROUP_SIZES,
    describe: 'with w4a16: input channels that share a scale (64)',
  },
} as const;

export function quantizeOptions(flags: {
  readonly quantize?: string | undefined;
  readonly quant_group_size?: number | undefined;
}): QuantizeOptions {
  return {
    ...(flags.quantize !== undefined && { quantize: flags.quantize as QuantizeMode }),
    ...(flags.quant_group_size !== undefined && { quantGroupSize: flags.quant_group_size }),
  };
}

/** Flags of every command that has a KV cache. */
export const KV_QUANT_FLAGS = {
  kv_quant: { choices: KV_QUANT_MODES, describe: "what keys and values are stored as (the model's dtype)" },
} as const;

export function kvQuantOptions(flags: { readonly kv_quant?: string | undefined }): KvQuantOptions {
  return flags.kv_quant === undefined ? {} : { kvQuant: flags.kv_quant as KvQuantMode };
}
