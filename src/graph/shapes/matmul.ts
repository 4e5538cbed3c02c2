import type { DType } from '../../dtype.js';
import type { AtbOpParams } from '../op-params.js';
import { DTYPE_OF_ACL, type Inputs, type ShapeRules, type TensorDesc } from './inputs.js';

/** x[.., k] times weight[n, k], or [k, n] when not transposed; a batched weight has the batch of x in front. */
function matmul(inputs: Inputs, transposeB: boolean, dtype: DType): TensorDesc[] {
  const x = inputs.at(0, 2, 3);
  if (inputs.at(1, 2, 3).shape.length === 3)
    inputs.equal("the weight's batch", inputs.size(1, 0), inputs.size(0, -3));
  const [n, k] = transposeB
    ? [inputs.size(1, -2), inputs.size(1, -1)]
    : [inputs.size(1, -1), inputs.size(1, -2)];
  inputs.equal("the weight's inner size", k, inputs.size(0, -1));
  return [{ dtype, shape: [...x.shape.slice(0, -1), n] }];
}

/** A weight of which each byte holds `perByte` numbers, along its contiguous axis. */
function weightQuantMatmul(inputs: Inputs, param: AtbOpParams['W8A16MatMul'], perByte: number): TensorDesc[] {
  const x = inputs.at(0, 2, 3);
  inputs.at(1, 2);
  const [n, k] = param.transposeB
    ? [inputs.size(1, 0), inputs.size(1, 1) * perByte]
    : [inputs.size(1, 1) * perByte, inputs.size(1, 0)];
  inputs.equal("the weight's inner size", k, inputs.size(0, -1));
  const dtype = param.outDataType === 'ACL_FLOAT' ? 'f32' : x.dtype;
  return [{ dtype, shape: [...x.shape.slice(0, -1), n] }];
}

export const MATMUL_SHAPES: ShapeRules<
  'Linear' | 'LinearParallel' | 'W8A16MatMul' | 'W4A16MatMul' | 'W8A8MatMul' | 'DynamicQuant'
> = {
  Linear(inputs, { transposeA, transposeB, hasBias, enAccum, outDataType }) {
    if (transposeA) inputs.fail('transposeA is not supported');
    inputs.sameDtype(0, 1);
    const given = (outDataType && DTYPE_OF_ACL[outDataType]) ?? inputs.at(0).dtype;
    const [out = inputs.at(0)] = matmul(inputs, transposeB, enAccum ? 'f32' : given);
    if (enAccum) inputs.sameShape(2, out.shape);
    else if (hasBias) inputs.equal('the bias size', inputs.size(2, -1), out.shape.at(-1) ?? 0);
    return [out];
  },
  LinearParallel(inputs, { transWeight, hasResidual, type = 'LINEAR_ALL_REDUCE', rankSize }) {
    inputs.sameDtype(0, 1);
    const { dtype } = inputs.at(0);
    const [rows = 0, ...rest] = matmul(inputs, transWeight, dtype)[0]?.shape ?? [];
    const factor =
      type === 'LINEAR_REDUCE_SCATTER' ? 1 / rankSize : type === 'ALL_GATHER_LINEAR' ? rankSize : 1;
    if (!Number.isInteger(rows * factor)) inputs.fail(`${rows} rows do not divide among ${rankSize} ranks`);
    const shape = [rows * factor, ...rest];
    if (hasResidual) inputs.sameShape(2, shape);
    return [{ dtype, shape }];
  },
  W8A16MatMul: (inputs, param) => weightQuantMatmul(inputs, param, 1),
  W4A16MatMul: (inputs, param) => weightQuantMatmul(inputs, param, 2),
  W8A8MatMul(inputs, { transposeB = false, isBF16 = true, outDataType }) {
    const given = isBF16 ? 'bf16' : 'f16';
    return matmul(inputs, transposeB, outDataType === 'ACL_FLOAT' ? 'f32' : given);
  },
  DynamicQuant(inputs) {
    const { shape } = inputs.at(0);
    return [
      { dtype: 'i8', shape },
      { dtype: 'f32', shape: shape.slice(0, -1) },
    ];
  },
};
