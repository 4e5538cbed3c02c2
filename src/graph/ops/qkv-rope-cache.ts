import { count, type OpDefinition } from './definition.js';
import type { RowNormType } from './fused-linear.js';

/**
 * Split, RmsNorm of each head, Rope and ReshapeAndCache. qkv[tokens, (heads + 2 kvHeads) * headDim], kCache, vCache,
 * slots, (cos, sin unless `rotaryCoeff` is 0), (gammas[headDim] of q and k with `normEpsilon`) ->
 * q[tokens, heads * headDim], and the caches in place.
 */
export interface QkvRopeCacheParam {
  readonly headNum: number;
  readonly kvHeadNum: number;
  readonly headDim: number;
  /** 0: nothing is rotated; 2 when absent. */
  readonly rotaryCoeff?: 2 | 0;
  readonly normEpsilon?: number;
  /** "rms" when absent. It needs `normEpsilon`. */
  readonly normType?: Exclude<RowNormType, 'layer'>;
}

export const qkvRopeCache: OpDefinition<'QkvRopeCache', QkvRopeCacheParam> = {
  type: 'QkvRopeCache',
  keys: {
    headNum: 'integer',
    kvHeadNum: 'integer',
    headDim: 'integer',
    rotaryCoeff: [2, 0],
    normEpsilon: 'number',
    normType: ['rms', 'rms-plus-one'],
  },
  arity: ({ rotaryCoeff, normEpsilon }) => ({
    inputs: 4 + 2 * count(rotaryCoeff !== 0, normEpsilon !== undefined),
    outputs: 3,
  }),
  inPlace: () => ({ 1: 1, 2: 2 }),
  shapes(inputs, { headNum, kvHeadNum, headDim, rotaryCoeff }) {
    const { dtype } = inputs.at(0, 2);
    const tokens = inputs.size(0, 0);
    inputs.equal('columns of qkv', inputs.size(0, 1), (headNum + 2 * kvHeadNum) * headDim);
    const cache = inputs.at(1, 4);
    inputs.equal('heads of the cache', inputs.size(1, 2), kvHeadNum);
    inputs.equal('head size of the cache', inputs.size(1, 3), headDim);
    inputs.sameShape(2, cache.shape);
    inputs.sameShape(3, [tokens]);
    if (rotaryCoeff !== 0) for (const table of [4, 5]) inputs.sameShape(table, [tokens, headDim]);
    return [{ dtype, shape: [tokens, headNum * headDim] }, cache, inputs.at(2)];
  },
};
