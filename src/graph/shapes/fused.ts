import type { ExtensionOpParams } from '../extensions.js';
import type { Inputs, ShapeRules } from './inputs.js';

/** A vector of a size, as [size] or [1, size]. */
function vector(inputs: Inputs, index: number, what: string, size: number): void {
  inputs.at(index, 1, 2);
  inputs.equal(what, inputs.size(index, -1), size);
}

export const FUSED_SHAPES: ShapeRules<keyof ExtensionOpParams> = {
  FusedLinear(inputs, { normEpsilon, hasBias, activation, hasResidual, outDataType }) {
    const { dtype, shape } = inputs.at(0, 2, 3);
    const k = inputs.size(0, -1);
    let next = 1;
    if (normEpsilon !== undefined) vector(inputs, next++, 'the size of gamma', k);
    const weight = next++;
    inputs.at(weight, 2);
    inputs.sameDtype(0, weight);
    inputs.equal("the weight's inner size", inputs.size(weight, 1), k);
    const n = inputs.size(weight, 0);
    if (hasBias) vector(inputs, next++, 'the bias size', n);
    if (activation === 'swiglu' && n % 2 !== 0) inputs.fail(`gate and up make ${n} rows, an odd number`);
    const out = [...shape.slice(0, -1), activation === 'swiglu' ? n / 2 : n];
    if (hasResidual) inputs.sameShape(next, out);
    return [{ dtype: outDataType === 'ACL_FLOAT' ? 'f32' : dtype, shape: out }];
  },
  QkvRopeCache(inputs, { headNum, kvHeadNum, headDim, normEpsilon }) {
    const { dtype } = inputs.at(0, 2);
    const tokens = inputs.size(0, 0);
    inputs.equal('columns of qkv', inputs.size(0, 1), (headNum + 2 * kvHeadNum) * headDim);
    for (const index of [1, 2]) inputs.sameShape(index, [tokens, headDim]);
    for (const index of [3, 4]) {
      inputs.at(index, 4);
      inputs.equal('heads of the cache', inputs.size(index, 2), kvHeadNum);
      inputs.equal('head size of the cache', inputs.size(index, 3), headDim);
    }
    inputs.sameDtype(0, 3, 4);
    inputs.sameShape(5, [tokens]);
    if (normEpsilon !== undefined)
      for (const index of [6, 7]) vector(inputs, index, 'the size of gamma', headDim);
    return [{ dtype, shape: [tokens, headNum * headDim] }, inputs.at(3), inputs.at(4)];
  },
};
