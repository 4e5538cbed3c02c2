import { fixed, type OpDefinition } from './definition.js';

/** key[tokens, kvHeads, headDim], value, kCache[blocks, blockSize, kvHeads, headDim], vCache, slots[tokens] -> caches. */
export interface ReshapeAndCacheParam {
  readonly compressType?: 'COMPRESS_TYPE_UNDEFINED';
  readonly kvCacheCfg?: 'K_CACHE_V_CACHE';
}

export const reshapeAndCache: OpDefinition<'ReshapeAndCache', ReshapeAndCacheParam> = {
  type: 'ReshapeAndCache',
  arity: fixed(5, 2),
  inPlace: { 0: 2, 1: 3 },
  shapes(inputs) {
    const [key, keyCache] = [inputs.at(0, 3), inputs.at(2, 4)];
    inputs.sameShape(1, key.shape.with(-1, inputs.size(1, -1)));
    inputs.sameShape(3, keyCache.shape.with(-1, inputs.size(3, -1)));
    inputs.sameDtype(0, 1);
    inputs.sameDtype(2, 3);
    inputs.equal('heads of the cache', inputs.size(2, 2), inputs.size(0, 1));
    for (const [row, cache] of [
      [0, 2],
      [1, 3],
    ] as const) {
      inputs.equal('head size of the cache', inputs.size(cache, 3), inputs.size(row, 2));
    }
    inputs.sameShape(4, [inputs.size(0, 0)]);
    return [keyCache, inputs.at(3)];
  },
};
