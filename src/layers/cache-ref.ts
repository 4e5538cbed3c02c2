import type { KvCacheDesc, StateDesc } from '../native/binding.js';

/** A KV cache as a layer uses it. Layers that share one name the same tensors. */
export interface CacheRef {
  /** The cache, and its tensors' names in the model's graph. */
  readonly cache: KvCacheDesc;
  /** The names of its tensors inside the layer's graph, which equal layers share. */
  readonly key: string;
  /** Absent where values are a part of the keys. */
  readonly value?: string;
}

/**
 * The cache of one layer of its own: `layer_3_k_cache` and `layer_3_v_cache`, in its graph `k_cache` and `v_cache`. `prefix`:
 * of the names of another cache of the same layer.
 */
export function layerCache(
  layerId: number,
  { heads, keySize, valueSize }: Pick<KvCacheDesc, 'heads' | 'keySize' | 'valueSize'>,
  prefix = '',
): CacheRef & { readonly value: string } {
  const [key, value] = [`${prefix}k_cache`, `${prefix}v_cache`];
  const cache = {
    key: `layer_${layerId}_${key}`,
    value: `layer_${layerId}_${value}`,
    heads,
    keySize,
    valueSize,
  };
  return { cache, key, value };
}

/** A cache of one head of keys, which has a row for every `tokensPerRow` tokens. */
export const keyRows = (layerId: number, key: string, size: number, tokensPerRow?: number): CacheRef => ({
  cache: {
    key: `layer_${layerId}_${key}`,
    ...{ heads: 1, keySize: size, valueSize: size },
    ...(tokensPerRow !== undefined && { tokensPerRow }),
  },
  key,
});

/** A recurrent state as a layer uses it. */
export interface StateRef {
  readonly state: StateDesc;
  /** Its name inside the layer's graph, which equal layers share. */
  readonly name: string;
}

/** A state of one layer of its own, of `size` numbers: `layer_3_conv_state`, in its graph `conv_state`. */
export const layerState = (layerId: number, name: string, size: number): StateRef => ({
  state: { name: `layer_${layerId}_${name}`, size },
  name,
});
