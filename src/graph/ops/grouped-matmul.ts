import { count, type OpDefinition, unless } from './definition.js';
import { DTYPE_OF_ACL } from './inputs.js';
import { INT8_ROWS_KEY, type Int8RowsKey, NUMBERS_KEY, type NumbersKey } from './integer-matmul.js';

/** ATB's GmmQuantType, as the integers that its parser wants. */
export const GMM_QUANT = {
  NONE: 0,
  W8A8_CHANNEL: 1,
  W8A16_CHANNEL: 2,
  W4A16_CHANNEL: 3,
  W8A8_TOKEN: 4,
} as const;

/** Extension keys of what becomes of the rows of experts. */
export interface ExpertRowsKeys {
  /**
   * With W8A8_CHANNEL: rows of floats become int8 by the scale and the offset of their expert, [experts] both, which follow
   * the scales of the weight.
   */
  readonly staticActivations?: boolean;
  /** The last input but one is the order in which each expert reads the channels of its rows, i32[experts, k]. */
  readonly hasChannels?: boolean;
}

/**
 * Each row times the matrix of its expert: x[rows, k] sorted by experts, weight[experts, n, k] (`transposeB`), (bias[experts,
 * n]), for integers (scale, offset) or with W8A8_TOKEN (scale, perTokenScale[rows]) or with W8A8_CHANNEL (scale), and how
 * many rows the experts up to each one have, i64[experts] -> [rows, n]. Of W8A8_CHANNEL the bias is i32, added before scaling.
 */
export interface GroupedMatmulParam extends NumbersKey, Int8RowsKey, ExpertRowsKeys {
  readonly transposeB: boolean;
  readonly hasBias: boolean;
  readonly quantType: (typeof GMM_QUANT)[keyof typeof GMM_QUANT];
  readonly outDataType: 'ACL_FLOAT16' | 'ACL_BF16' | 'ACL_FLOAT';
}

/** Inputs that say what integers stand for. */
const SCALES: Readonly<Record<GroupedMatmulParam['quantType'], number>> = {
  [GMM_QUANT.NONE]: 0,
  [GMM_QUANT.W8A8_CHANNEL]: 1,
  [GMM_QUANT.W8A16_CHANNEL]: 2,
  [GMM_QUANT.W4A16_CHANNEL]: 2,
  [GMM_QUANT.W8A8_TOKEN]: 2,
};

export const groupedMatmul: OpDefinition<'GroupedMatmul', GroupedMatmulParam> = {
  type: 'GroupedMatmul',
  keys: { ...NUMBERS_KEY, ...INT8_ROWS_KEY, staticActivations: 'bool', hasChannels: 'bool' },
  arity: ({ hasBias, quantType, staticActivations, hasChannels }) => ({
    inputs: 3 + count(hasBias, hasChannels) + SCALES[quantType] + (staticActivations ? 2 : 0),
    outputs: 1,
  }),
  shapes(inputs, param) {
    const { transposeB, hasBias, quantType, outDataType } = param;
    if (!transposeB) inputs.fail('transposeB false is not supported');
    inputs.at(0, 2);
    inputs.at(1, 3);
    if (quantType === GMM_QUANT.NONE) inputs.sameDtype(0, 1);
    const perByte = quantType === GMM_QUANT.W4A16_CHANNEL ? 2 : 1;
    inputs.equal("the weight's inner size", inputs.size(1, 2) * perByte, inputs.size(0, 1));
    const [experts, n] = [inputs.size(1, 0), inputs.size(1, 1)];
    if (hasBias) inputs.sameShape(2, [experts, n]);
    const last = groupedMatmul.arity(param).inputs - 1;
    inputs.sameShape(last, [experts]);
    if (param.hasChannels) inputs.sameShape(last - 1, [experts, inputs.size(0, 1)]);
    const dtype = DTYPE_OF_ACL[outDataType] ?? inputs.fail(`cannot give ${outDataType}`);
    return [{ dtype, shape: [inputs.size(0, 0), n] }];
  },
  matrix: () => ({ input: 1, layout: 'linear' }),
  atb: {
    problems: ({ outDataType, quantType }, inputs) => [
      ...unless(
        outDataType !== 'ACL_FLOAT',
        `outDataType must be ACL_FLOAT16 or ACL_BF16, found ${outDataType}`,
      ),
      ...unless(
        inputs[0]?.dtype === 'f16' || inputs[0]?.dtype === 'bf16' || quantType === GMM_QUANT.W8A8_TOKEN,
        `the rows must be f16 or bf16, found ${inputs[0]?.dtype}`,
      ),
    ],
  },
};
