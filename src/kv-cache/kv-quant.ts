import type { FloatDType } from '../dtype.js';
import { refuseRequest } from '../errors.js';

/** What keys and values can be stored as, beside the model's own dtype. */
export const KV_QUANT_MODES = ['int8'] as const;
export type KvQuantMode = (typeof KV_QUANT_MODES)[number];

export interface KvQuantOptions {
  /**
   * Stores keys and values as integers with a scale for each token and head, made as they come. Needs the passes
   * `implicit-masks` and `attention-from-cache`: prefill must read what later steps will read.
   */
  readonly kvQuant?: KvQuantMode | undefined;
}

/** Element type of the cache of a model that computes in `dtype`. Throws REQUEST_INVALID for a mode that is none. */
export function kvCacheDType(dtype: FloatDType, { kvQuant }: KvQuantOptions): FloatDType | 'i8' {
  if (kvQuant === undefined) return dtype;
  if (!KV_QUANT_MODES.includes(kvQuant))
    refuseRequest('kv_quant', `one of ${KV_QUANT_MODES.join(', ')}`, kvQuant);
  return 'i8';
}
