import { count, type OpDefinition } from './definition.js';

/** RmsNorm, RmsNorm with gamma + 1 as Gemma has it, or LayerNorm. */
export type RowNormType = 'rms' | 'rms-plus-one' | 'layer';

/** Behind a product, each on its own numbers; those with "glu" on gates, whose results are multiplied with up. */
const ACTIVATIONS = [
  'none',
  'relu',
  'relu2',
  'gelu',
  'gelu-tanh',
  'fast-gelu',
  'swish',
  'swiglu',
  'geglu',
  'geglu-tanh',
] as const;

export type ProductActivation = Exclude<(typeof ACTIVATIONS)[number], 'none'>;

/** Whether the rows of the weight are gate over up. */
const isGated = (activation: FusedLinearParam['activation'] = 'none'): boolean => activation.includes('glu');

/**
 * act(norm(x) w + bias) + residual. x[tokens, k], (gamma[k] with `normEpsilon`), (beta[k] with `normType` "layer"),
 * w[n, k], (scale[n, groups] with `weightBits`, w being integers), (offset[n, groups]), (bias[n]), (residual) ->
 * [tokens, n], or n / 2 columns with a gated activation, whose weight is gate over up.
 */
export interface FusedLinearParam {
  readonly transposeB?: true;
  readonly hasBias?: boolean;
  readonly normEpsilon?: number;
  /** What normalises rows; "rms" when absent. It needs `normEpsilon`. */
  readonly normType?: RowNormType;
  readonly activation?: 'none' | ProductActivation;
  readonly hasResidual?: boolean;
  readonly outDataType?: 'ACL_DT_UNDEFINED' | 'ACL_FLOAT';
  readonly weightBits?: 8 | 4;
  /** 0: one scale for each output channel. */
  readonly quantGroupSize?: number;
  /** Integers have offsets, which the engine packed with them. */
  readonly hasOffset?: boolean;
  /** What the bytes hold; `integers` when absent. */
  readonly weightNumbers?: 'integers' | 'floats';
  /** Rows become int8 with a scale each, as DynamicQuant makes them. */
  readonly int8Activations?: boolean;
}

export const fusedLinear: OpDefinition<'FusedLinear', FusedLinearParam> = {
  type: 'FusedLinear',
  keys: {
    transposeB: [true],
    hasBias: 'bool',
    normEpsilon: 'number',
    normType: ['rms', 'rms-plus-one', 'layer'],
    activation: ACTIVATIONS,
    hasResidual: 'bool',
    outDataType: ['ACL_DT_UNDEFINED', 'ACL_FLOAT'],
    weightBits: [8, 4],
    quantGroupSize: 'integer',
    hasOffset: 'bool',
    weightNumbers: ['integers', 'floats'],
    int8Activations: 'bool',
  },
  arity: (param) => ({
    inputs:
      1 +
      weightInput(param) +
      count(param.weightBits !== undefined, param.hasOffset, param.hasBias, param.hasResidual),
    outputs: 1,
  }),
  shapes(inputs, param) {
    const { hasBias = false, hasOffset = false, hasResidual = false } = param;
    const { activation, outDataType, weightBits } = param;
    const x = inputs.at(0, 2, 3);
    const weight = weightInput(param);
    for (let index = 1; index < weight; index++)
      inputs.equal(index === 1 ? "gamma's size" : "beta's size", inputs.size(index, -1), inputs.size(0, -1));
    inputs.at(weight, 2);
    const features = inputs.size(weight, 0);
    if (weightBits) inputs.equal('rows of scales', inputs.size(weight + 1, 0), features);
    else inputs.sameDtype(0, weight);
    const perByte = weightBits ? 8 / weightBits : 1;
    inputs.equal("the weight's inner size", inputs.size(weight, 1) * perByte, inputs.size(0, -1));
    const bias = weight + 1 + count(weightBits !== undefined, hasOffset);
    if (hasBias) inputs.equal('the bias size', inputs.size(bias, -1), features);
    const columns = isGated(activation) ? features / 2 : features;
    if (!Number.isInteger(columns)) inputs.fail(`gate over up has ${features} rows, which must be even`);
    const shape = x.shape.with(-1, columns);
    if (hasResidual) inputs.sameShape(bias + (hasBias ? 1 : 0), shape);
    return [{ dtype: outDataType === 'ACL_FLOAT' ? 'f32' : x.dtype, shape }];
  },
  matrix: (param) => ({
    input: weightInput(param),
    layout: isGated(param.activation) ? 'linear-interleaved' : 'linear',
  }),
};

/** The weight follows x and what normalises it. */
function weightInput({ normEpsilon, normType }: FusedLinearParam): number {
  return 1 + count(normEpsilon !== undefined, normType === 'layer');
}
