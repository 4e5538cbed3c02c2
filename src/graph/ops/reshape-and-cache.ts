import { type OpDefinition, onlyKnown } from './definition.js';

/**
 * key[tokens, kvHeads, headDim], value, kCache[blocks, blockSize, kvHeads, headDim], vCache, slots[tokens] -> caches.
 * With K_CACHE_V_BYPASS there are no values: key, kCache, slots -> kCache.
 */
export interface ReshapeAndCacheParam {
  readonly compressType?: 'COMPRESS_TYPE_UNDEFINED';
  readonly kvCacheCfg?: 'K_CACHE_V_CACHE' | 'K_CACHE_V_BYPASS';
}

const caches = ({ kvCacheCfg }: ReshapeAndCacheParam): number => (kvCacheCfg === 'K_CACHE_V_BYPASS' ? 1 : 2);

export const reshapeAndCache: OpDefinition<'ReshapeAndCache', ReshapeAndCacheParam> = {
  type: 'ReshapeAndCache',
  arity: (param) => ({ inputs: 2 * caches(param) + 1, outputs: caches(param) }),
  inPlace: (param) => (caches(param) === 1 ? { 0: 1 } : { 0: 2, 1: 3 }),
  shapes(inputs, param) {
    const count = caches(param);
    const [key, keyCache] = [inputs.at(0, 3), inputs.at(count, 4)];
    for (let value = 1; value < count; value++) {
      inputs.sameShape(value, key.shape.with(-1, inputs.size(value, -1)));
      inputs.sameShape(count + value, keyCache.shape.with(-1, inputs.size(count + value, -1)));
      inputs.sameDtype(0, value);
      inputs.sameDtype(count, count + value);
    }
    inputs.equal('heads of the cache', inputs.size(count, 2), inputs.size(0, 1));
    for (let row = 0; row < count; row++)
      inputs.equal('head size of the cache', inputs.size(count + row, 3), inputs.size(row, 2));
    inputs.sameShape(2 * count, [inputs.size(0, 0)]);
    return Array.from({ length: count }, (_, cache) => inputs.at(count + cache));
  },
  atb: {
    section: (param) => `ReshapeAndCacheOperation${caches(param) === 1 ? 'SISO' : ''}`,
    // reshape_and_cache_operation.cpp: compressed caches have 7 inputs, and are not for keys alone.
    problems: (param) => onlyKnown(param, { compressType: 'COMPRESS_TYPE_UNDEFINED' }),
  },
};
