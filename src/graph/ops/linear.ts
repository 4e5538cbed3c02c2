import { count, type OpDefinition, unless } from './definition.js';
import { type AclDataType, DTYPE_OF_ACL, type Inputs, type TensorDesc } from './inputs.js';
import { matmulShapes } from './matmul.js';

/**
 * x[tokens, k], weight[n, k] (`transposeB`), (bias[n]) -> [tokens, n]; or with batches in front: weight[batch, n, k]. Of int8:
 * x, weight, (bias i32[n]), deqScale[n] -> [tokens, n], (x w + bias) * deqScale in the outDataType, which says that it is so.
 */
export interface LinearParam {
  readonly transposeA?: boolean;
  /** ATB's default is true: the weight is [n, k]. */
  readonly transposeB: boolean;
  /** ATB's default is true. */
  readonly hasBias: boolean;
  /** Adds to the third input, f32, and gives f32. */
  readonly enAccum?: boolean;
  /** Of int8: ACL_FLOAT16 or ACL_BF16. */
  readonly outDataType?: AclDataType;
  /** Batches are axis 1 of x[tokens, batch, k] and of the result. ATB has it (LinearParam::matmulType), its JSON has not. */
  readonly matmulType?: 'MATMUL_EIN_SUM';
}

export const linear: OpDefinition<'Linear', LinearParam> = {
  type: 'Linear',
  keys: { matmulType: ['MATMUL_EIN_SUM'] },
  arity: (param) => ({
    inputs: 2 + count(param.hasBias || param.enAccum, isOfIntegers(param)),
    outputs: 1,
  }),
  shapes(inputs, param) {
    const { transposeA, transposeB = true, hasBias, enAccum, outDataType, matmulType } = param;
    if (transposeA) inputs.fail('transposeA is not supported');
    inputs.sameDtype(0, 1);
    if (matmulType) return einsumShapes(inputs);
    const given = (outDataType && DTYPE_OF_ACL[outDataType]) ?? inputs.at(0).dtype;
    const [out = inputs.at(0)] = matmulShapes(inputs, transposeB, enAccum ? 'f32' : given);
    if (enAccum) inputs.sameShape(2, out.shape);
    else if (hasBias) inputs.equal('the bias size', inputs.size(2, -1), out.shape.at(-1) ?? 0);
    if (isOfIntegers(param))
      inputs.equal('the number of scales', inputs.size(hasBias ? 3 : 2, -1), out.shape.at(-1) ?? 0);
    return [out];
  },
  matrix: () => ({ input: 1, layout: 'linear' }),
  atb: {
    section(param) {
      const { hasBias = true, enAccum = false, outDataType } = param;
      if (enAccum) return 'LinearOperationMatmulAccum';
      const bias = hasBias ? 'WithBias' : '';
      if (!isOfIntegers(param)) return `LinearOperationMatmul${bias}Atlas800IA2`;
      return `LinearOperationMatmulDequant${bias}${outDataType === 'ACL_BF16' ? 'Bf16' : 'Float16'}Atlas800IA2`;
    },
    problems,
  },
};

/** linear_operation.cpp: the dtypes of activations, as that of a result, mean that the inputs are int8. */
export const isOfIntegers = ({ outDataType }: LinearParam): boolean =>
  outDataType === 'ACL_FLOAT16' || outDataType === 'ACL_BF16';

/** linear_operation.cpp: MatmulEinParamCheck, MatmulParamCheck, MatmulUndefindCheck; BiasCheck, DeqScaleCheck. */
function problems(param: LinearParam, inputs: readonly TensorDesc[]): string[] {
  const { matmulType, hasBias = true, enAccum = false, outDataType = 'ACL_DT_UNDEFINED' } = param;
  return [
    ...unless(
      matmulType !== 'MATMUL_EIN_SUM' || (!hasBias && !enAccum && outDataType === 'ACL_DT_UNDEFINED'),
      'MATMUL_EIN_SUM takes neither hasBias nor enAccum nor outDataType',
    ),
    ...unless(
      outDataType === 'ACL_DT_UNDEFINED' || isOfIntegers(param),
      `outDataType must be ACL_DT_UNDEFINED, ACL_FLOAT16 or ACL_BF16, found ${outDataType}`,
    ),
    ...unless(
      !enAccum || (!hasBias && outDataType === 'ACL_DT_UNDEFINED'),
      'enAccum takes neither hasBias nor outDataType',
    ),
    ...(enAccum ? [] : inputs.slice(2).flatMap((row, index) => rowProblems(row, index + 2, inputs[1]))),
  ];
}

/** A bias or scales are [n] or [batch, n], of the weight's batch. */
function rowProblems({ shape }: TensorDesc, index: number, weight: TensorDesc | undefined): string[] {
  const batch = weight?.shape.length === 3 ? weight.shape[0] : 1;
  const found = shape.length === 1 ? 1 : shape[0];
  return [
    ...unless(shape.length <= 2, `input ${index} must have 1 or 2 axes, found [${shape}]`),
    ...unless(found === batch, `the batch of input ${index} must be the weight's, ${batch}, found ${found}`),
  ];
}

/** x[tokens, batch, k] times weight[batch, n, k] of each batch. */
function einsumShapes(inputs: Inputs): TensorDesc[] {
  const { dtype, shape } = inputs.at(0, 3);
  inputs.at(1, 3);
  inputs.equal("the weight's batch", inputs.size(1, 0), inputs.size(0, 1));
  inputs.equal("the weight's inner size", inputs.size(1, 2), inputs.size(0, 2));
  return [{ dtype, shape: shape.with(2, inputs.size(1, 1)) }];
}
