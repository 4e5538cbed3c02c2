import { count, type OpDefinition } from './definition.js';

/**
 * act(norm(x) w + bias) + residual. x[tokens, k], (gamma[k] with `normEpsilon`), w[n, k], (scale[n, groups] with
 * `weightBits`, w being integers), (bias[n]), (residual) -> [tokens, n], or n / 2 columns with swiglu, whose weight is
 * gate over up.
 */
export interface FusedLinearParam {
  readonly transposeB?: true;
  readonly hasBias?: boolean;
  readonly normEpsilon?: number;
  readonly activation?: 'none' | 'swiglu';
  readonly hasResidual?: boolean;
  readonly outDataType?: 'ACL_DT_UNDEFINED' | 'ACL_FLOAT';
  readonly weightBits?: 8 | 4;
  /** 0: one scale for each output channel. */
  readonly quantGroupSize?: number;
  /** Rows become int8 with a scale each, as DynamicQuant makes them. */
  readonly int8Activations?: boolean;
}

export const fusedLinear: OpDefinition<'FusedLinear', FusedLinearParam> = {
  type: 'FusedLinear',
  keys: {
    transposeB: [true],
    hasBias: 'bool',
    normEpsilon: 'number',
    activation: ['none', 'swiglu'],
    hasResidual: 'bool',
    outDataType: ['ACL_DT_UNDEFINED', 'ACL_FLOAT'],
    weightBits: [8, 4],
    quantGroupSize: 'number',
    int8Activations: 'bool',
  },
  arity: ({ normEpsilon, weightBits, hasBias, hasResidual }) => ({
    inputs: 2 + count(normEpsilon !== undefined, weightBits !== undefined, hasBias, hasResidual),
    outputs: 1,
  }),
  shapes(inputs, param) {
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
  matrix: ({ normEpsilon, activation }) => ({
    input: normEpsilon === undefined ? 1 : 2,
    layout: activation === 'swiglu' ? 'linear-interleaved' : 'linear',
  }),
};
