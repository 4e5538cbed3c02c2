import type { OpDefinition } from './definition.js';

/**
 * Split, RmsNorm of each head, Rope and ReshapeAndCache. qkv[tokens, (heads + 2 kvHeads) * headDim], cos, sin, kCache,
 * vCache, slots, (gammas[headDim] of q and k with `normEpsilon`) -> q[tokens, heads * headDim], and the caches in place.
 */
export interface QkvRopeCacheParam {
  readonly headNum: number;
  readonly kvHeadNum: number;
  readonly headDim: number;
  readonly rotaryCoeff?: 2;
  readonly normEpsilon?: number;
}

export const qkvRopeCache: OpDefinition<'QkvRopeCache', QkvRopeCacheParam> = {
  type: 'QkvRopeCache',
  keys: {
    headNum: 'number',
    kvHeadNum: 'number',
    headDim: 'number',
    rotaryCoeff: [2],
    normEpsilon: 'number',
  },
  arity: ({ normEpsilon }) => ({ inputs: normEpsilon === undefined ? 6 : 8, outputs: 3 }),
  inPlace: { 1: 3, 2: 4 },
  shapes(inputs, { headNum, kvHeadNum, headDim }) {
    const { dtype } = inputs.at(0, 2);
    const tokens = inputs.size(0, 0);
    inputs.equal('columns of qkv', inputs.size(0, 1), (headNum + 2 * kvHeadNum) * headDim);
    inputs.sameShape(1, [tokens, headDim]);
    inputs.sameShape(2, [tokens, headDim]);
    const cache = inputs.at(3, 4);
    inputs.equal('heads of the cache', inputs.size(3, 2), kvHeadNum);
    inputs.equal('head size of the cache', inputs.size(3, 3), headDim);
    inputs.sameShape(4, cache.shape);
    inputs.sameShape(5, [tokens]);
    return [{ dtype, shape: [tokens, headNum * headDim] }, cache, inputs.at(4)];
  },
};
