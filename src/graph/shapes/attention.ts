import { hasMask } from '../op-params.js';
import type { Inputs, ShapeRules, TensorDesc } from './inputs.js';

/** Values may have a head size of their own, and then so has the result. */
function attention(
  inputs: Inputs,
  { headNum, kvHeadNum }: { headNum: number; kvHeadNum: number },
): TensorDesc[] {
  const { dtype, shape } = inputs.at(0, 3);
  const [tokens = 0] = shape;
  inputs.equal('query heads', inputs.size(0, 1), headNum);
  inputs.equal('head size of keys', inputs.size(1, -1), inputs.size(0, 2));
  inputs.equal('key heads', inputs.size(1, -2), kvHeadNum);
  inputs.sameShape(2, inputs.at(1).shape.with(-1, inputs.size(2, -1)));
  inputs.sameDtype(0, 1, 2);
  if (kvHeadNum < 1 || headNum % kvHeadNum !== 0) {
    inputs.fail(`headNum ${headNum} is not a multiple of kvHeadNum ${kvHeadNum}`);
  }
  return [{ dtype, shape: [tokens, headNum, inputs.size(2, -1)] }];
}

export const ATTENTION_SHAPES: ShapeRules<'Rope' | 'ReshapeAndCache' | 'SelfAttention' | 'PagedAttention'> = {
  Rope(inputs) {
    const [q, k, cos] = [inputs.at(0, 2, 4), inputs.at(1, 2, 4), inputs.at(2, 2)];
    inputs.sameDtype(0, 1);
    inputs.sameShape(3, cos.shape);
    const tokens = inputs.size(0, 0) * (q.shape.length === 4 ? inputs.size(0, 1) : 1);
    inputs.equal('rows of cos', inputs.size(2, 0), tokens);
    for (const index of [0, 1]) {
      if (inputs.size(index, -1) % inputs.size(2, 1) !== 0) {
        inputs.fail(
          `input ${index}, [${inputs.at(index).shape}], is not made of heads of size ${inputs.size(2, 1)}`,
        );
      }
    }
    inputs.at(4, 1);
    return [q, k];
  },
  ReshapeAndCache(inputs) {
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
  SelfAttention(inputs, param) {
    inputs.at(1, 3);
    inputs.equal('key tokens', inputs.size(1, 0), inputs.size(0, 0));
    if (hasMask(param.maskType)) {
      inputs.sameDtype(0, 3);
      if (param.isTriuMask === 1) inputs.sameShape(3, [128, 128]);
      else inputs.equal('columns of the mask', inputs.size(3, -1), inputs.size(3, -2));
    }
    return attention(inputs, param);
  },
  PagedAttention(inputs, param) {
    inputs.at(1, 4);
    const batch = inputs.size(4, 0);
    inputs.at(3, 2);
    inputs.equal('rows of the block table', inputs.size(3, 0), batch);
    const isSpec = param.calcType === 'CALC_TYPE_SPEC';
    if (!isSpec) inputs.equal('query tokens', inputs.size(0, 0), batch);
    const isMasked = hasMask(param.maskType);
    if (isMasked) inputs.sameDtype(0, 5);
    if (isSpec) inputs.sameShape(isMasked ? 6 : 5, [batch]);
    return attention(inputs, param);
  },
};
