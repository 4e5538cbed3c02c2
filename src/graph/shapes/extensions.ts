import type { ExtensionOpParams } from '../extensions.js';
import { DTYPE_OF_ACL, type ShapeRules } from './inputs.js';

export const EXTENSION_SHAPES: ShapeRules<keyof ExtensionOpParams> = {
  FusedLinear(inputs, param) {
    const { normEpsilon, hasBias = false, hasResidual = false, activation, outDataType, weightBits } = param;
    const x = inputs.at(0, 2, 3);
    const weight = normEpsilon === undefined ? 1 : 2;
    if (weight === 2) inputs.equal("gamma's size", inputs.size(1, -1), inputs.size(0, -1));
    inputs.at(weight, 2);
    const features = inputs.size(weight, 0);
    if (weightBits) inputs.equal('rows of scales', inputs.size(weight + 1, 0), features);
    else inputs.sameDtype(0, weight);
    const perByte = weightBits ? 8 / weightBits : 1;
    inputs.equal("the weight's inner size", inputs.size(weight, 1) * perByte, inputs.size(0, -1));
    const bias = weight + (weightBits ? 2 : 1);
    if (hasBias) inputs.equal('the bias size', inputs.size(bias, -1), features);
    const columns = activation === 'swiglu' ? features / 2 : features;
    if (!Number.isInteger(columns)) inputs.fail(`gate over up has ${features} rows, which must be even`);
    const shape = x.shape.with(-1, columns);
    if (hasResidual) inputs.sameShape(bias + (hasBias ? 1 : 0), shape);
    return [{ dtype: outDataType === 'ACL_FLOAT' ? 'f32' : x.dtype, shape }];
  },
  GatherDequant(inputs, { weightBits = 8, outDataType }) {
    inputs.at(0, 2);
    inputs.equal('rows of scales', inputs.size(2, 0), inputs.size(0, 0));
    const k = (inputs.size(0, 1) * 8) / weightBits;
    const dtype = DTYPE_OF_ACL[outDataType] ?? inputs.fail(`cannot give ${outDataType}`);
    return [{ dtype, shape: [...inputs.at(1).shape, k] }];
  },
  QkvRopeCache(inputs, { headNum, kvHeadNum, headDim }) {
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
