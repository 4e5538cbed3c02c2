import type { DType } from '../../dtype.js';
import { count, type OpDefinition, unless } from './definition.js';
import type { TensorDesc } from './inputs.js';
import {
  dtypeProblems,
  halfInputProblems,
  INT8_ROWS_KEY,
  type Int8RowsKey,
  NUMBERS_KEY,
  type NumbersKey,
  UNROUNDED_KEY,
  type UnroundedKey,
} from './integer-matmul.js';

/** x[tokens, k], weight int8[n, k] (`transposeB`), scale, offset, (bias[n]) -> [tokens, n] in x's dtype. */
export interface WeightQuantMatMulParam extends UnroundedKey, NumbersKey, Int8RowsKey {
  readonly transposeB: boolean;
  readonly hasBias: boolean;
  /** 0: one scale for each output channel. */
  readonly quantGroupSize: number;
}

/** A weight of which each byte holds `perByte` numbers, along its contiguous axis. */
const weightQuantMatMul = <T extends string>(
  type: T,
  perByte: number,
): OpDefinition<T, WeightQuantMatMulParam> => ({
  type,
  keys: { ...UNROUNDED_KEY, ...NUMBERS_KEY, ...INT8_ROWS_KEY },
  arity: ({ hasBias }) => ({ inputs: 4 + count(hasBias), outputs: 1 }),
  shapes(inputs, { transposeB, outDataType }) {
    const x = inputs.at(0, 2, 3);
    inputs.at(1, 2);
    const [n, k] = transposeB
      ? [inputs.size(1, 0), inputs.size(1, 1) * perByte]
      : [inputs.size(1, 1) * perByte, inputs.size(1, 0)];
    inputs.equal("the weight's inner size", k, inputs.size(0, -1));
    const dtype = outDataType === 'ACL_FLOAT' ? 'f32' : x.dtype;
    return [{ dtype, shape: [...x.shape.slice(0, -1), n] }];
  },
  matrix: () => ({ input: 1, layout: 'linear' }),
  atb: { problems: (param, inputs) => problems(type, param, inputs) },
});

/** Atlas A2 adds biases in f32 to products of bf16 (aclnn_weight_quant_batch_matmul_v2.cpp, CheckDtype); MindIE converts. */
const biasDType = (x: DType | undefined): DType | undefined => (x === 'bf16' ? 'f32' : x);

/**
 * aclnnWeightQuantBatchMatmulV2: scales and offsets in the dtype of x, one per channel or per group of it; groups are
 * smaller than the depth (aclnn_weight_quant_batch_matmul_v2.cpp, CheckAntiQuantGroupSize). MindIE takes the number of
 * outputs from the offsets (quant_batch_matmul_operation.cpp, InferShape), so their axes are in the weight's order.
 */
function problems(
  type: string,
  { quantGroupSize: size, transposeB, hasBias }: WeightQuantMatMulParam,
  inputs: readonly TensorDesc[],
): string[] {
  const [x, weight, scale, offset] = inputs;
  const k = x?.shape.at(-1) ?? 0;
  const groups = size > 0 ? Math.ceil(k / size) : 1;
  const n = weight?.shape[transposeB ? 0 : 1] ?? 0;
  const shape = (transposeB ? [n, groups] : [groups, n]).join();
  const fits = (desc: TensorDesc | undefined): boolean => desc?.shape.join() === shape;
  return [
    ...halfInputProblems(inputs),
    ...dtypeProblems(inputs, x?.dtype, 'i8', x?.dtype, x?.dtype, ...(hasBias ? [biasDType(x?.dtype)] : [])),
    ...unless(
      size === 0 || (size % 32 === 0 && size >= 32 && size < k),
      `quantGroupSize must be 0 or a multiple of 32 below ${k}, found ${size}`,
    ),
    // Its bytes hold two numbers of a row, and rows have to be inputs' then.
    ...unless(type !== 'W4A16MatMul' || transposeB, 'W4A16MatMul needs transposeB true'),
    ...unless(fits(scale) && fits(offset), `scale and offset must be [${shape}]`),
  ];
}

export const w8a16MatMul = weightQuantMatMul('W8A16MatMul', 1);

/** As W8A16MatMul with two 4-bit weights in each byte. */
export const w4a16MatMul = weightQuantMatMul('W4A16MatMul', 2);
