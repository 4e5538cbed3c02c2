import { count, type OpDefinition, unless } from './definition.js';
import type { TensorDesc } from './inputs.js';
import {
  blockProblems,
  type NormBlock,
  type NormQuant,
  normLacks,
  quantised,
  residualOutputs,
  weightOf,
  weightProblems,
  widthProblems,
} from './norm.js';

/**
 * x, gamma, (residual) -> x / rms(x) * gamma over the last axis, (+ residual). `layerType` selects which of the nested
 * blocks ATB reads.
 */
export type RmsNormParam =
  | {
      readonly layerType: 'RMS_NORM_NORM';
      readonly normParam: {
        readonly epsilon: number;
        readonly quantType?: NormQuant;
        /** GEMMA_MODEL: gamma + 1. */
        readonly modelType?: 'LLAMA_MODEL' | 'GEMMA_MODEL';
      };
      /** Adds a residual to what was normalised, before it is rounded. */
      readonly hasResidual?: boolean;
    }
  | {
      readonly layerType: 'RMS_NORM_PRENORM';
      readonly preNormParam: ResidualRmsNorm;
    }
  | {
      readonly layerType: 'RMS_NORM_POSTNORM';
      readonly postNormParam: ResidualRmsNorm;
    };

/** x, (bias), residual, gamma -> norm of x + (bias) + residual. PRENORM gives the sum as well. */
interface ResidualRmsNorm {
  readonly epsilon: number;
  readonly hasBias?: boolean;
  readonly quantType?: NormQuant;
}

export const rmsNorm: OpDefinition<'RmsNorm', RmsNormParam> = {
  type: 'RmsNorm',
  keys: { hasResidual: 'bool' },
  lacks: (param) => normLacks(param, 'RMS_NORM_'),
  arity(param) {
    if (param.layerType === 'RMS_NORM_NORM') {
      const { quantType } = param.normParam;
      return { inputs: quantType === 'QUANT_INT8' ? 5 : 2 + count(param.hasResidual), outputs: 1 };
    }
    const isPre = param.layerType === 'RMS_NORM_PRENORM';
    const { quantType, hasBias } = isPre ? param.preNormParam : param.postNormParam;
    const isQuant = quantType === 'QUANT_INT8';
    const scaled = isPre ? 6 : 5;
    return { inputs: isQuant ? scaled : 3 + count(hasBias), outputs: isPre || isQuant ? 2 : 1 };
  },
  shapes(inputs, param) {
    const x = inputs.at(0);
    if (param.layerType === 'RMS_NORM_NORM') {
      weightOf(inputs, 1);
      if (param.hasResidual) inputs.sameShape(2, x.shape);
      return [param.normParam.quantType === 'QUANT_INT8' ? quantised(x) : x];
    }
    const isPre = param.layerType === 'RMS_NORM_PRENORM';
    const { quantType, hasBias = false } = isPre ? param.preNormParam : param.postNormParam;
    const residual = hasBias ? 2 : 1;
    inputs.sameShape(residual, x.shape);
    weightOf(inputs, residual + 1);
    return residualOutputs(x, isPre, quantType);
  },
  atb: {
    section(param) {
      if (param.layerType === 'RMS_NORM_NORM') {
        const isQuant = param.normParam.quantType === 'QUANT_INT8';
        return `RmsNormOperationNORMAnd${isQuant ? 'QUANTParamInTensor' : 'QUANTUNDEFINEDWithoutRSTD'}`;
      }
      const isPre = param.layerType === 'RMS_NORM_PRENORM';
      const { quantType, hasBias } = isPre ? param.preNormParam : param.postNormParam;
      const form = quantType === 'QUANT_INT8' ? 'AndQUANT' : hasBias ? '' : 'NoBias';
      return `RmsNormOperation${isPre ? 'PRENORM' : 'POSTNORM'}${form}`;
    },
    problems(param, inputs) {
      const [width, bytes] = [inputs[0]?.shape.at(-1) ?? 0, inputs[0]?.dtype === 'f32' ? 4 : 2];
      const rows = widthProblems(width, bytes);
      if (param.layerType === 'RMS_NORM_NORM') {
        const isQuant = param.normParam.quantType === 'QUANT_INT8';
        return [
          ...blockProblems(param.normParam),
          ...formProblems(param.normParam, inputs[0]),
          ...rows,
          ...weightProblems(inputs, isQuant ? [1, 2] : [1], isQuant ? [3, 4] : []),
        ];
      }
      const isPre = param.layerType === 'RMS_NORM_PRENORM';
      const { quantType, hasBias = false, ...block } = isPre ? param.preNormParam : param.postNormParam;
      const isQuant = quantType === 'QUANT_INT8';
      const [weights, scales] = isQuant
        ? isPre
          ? [
              [2, 3],
              [4, 5],
            ]
          : [[2], [3, 4]]
        : [hasBias ? [1, 3] : [2], []];
      return [
        ...blockProblems({ ...block, ...(quantType && { quantType }) }),
        ...unless(!isQuant || !hasBias, 'hasBias is not for int8'),
        ...(isQuant && !isPre ? widthProblems(width, 1) : rows),
        ...weightProblems(inputs, weights, scales),
      ];
    },
  },
};

/** rms_norm_operation.cpp: GetOutputNum, EpsilonCheck, DtypeCheck, CheckModelType, CheckPrecisionMode. */
function formProblems(block: NormBlock & OtherForms, x: TensorDesc | undefined): string[] {
  const { quantType, rstd = false, dynamicQuantType = 'DYNAMIC_QUANT_UNDEFINED', layerNormEps = 1 } = block;
  const [isFast, isGemma] = [
    block.precisionMode === 'HIGH_PERFORMANCE_MODE',
    block.modelType === 'GEMMA_MODEL',
  ];
  const isQuant = quantType === 'QUANT_INT8';
  return [
    ...unless(!rstd, 'rstd gives a second output, which our graphs do not have'),
    ...unless(
      dynamicQuantType === 'DYNAMIC_QUANT_UNDEFINED',
      `${dynamicQuantType} gives more outputs, which our graphs do not have`,
    ),
    ...unless(layerNormEps > 0, `layerNormEps must be positive, found ${layerNormEps}`),
    ...unless(!isGemma || !isQuant, 'GEMMA_MODEL is not for int8'),
    ...unless(
      !isFast || (x?.dtype === 'f16' && !isGemma && !isQuant),
      'HIGH_PERFORMANCE_MODE is for f16 alone, and neither for GEMMA_MODEL nor int8',
    ),
  ];
}

/** Keys of ATB that change how many outputs there are (GetOutputNum), and those that have rules of their own. */
interface OtherForms {
  readonly rstd?: boolean;
  readonly dynamicQuantType?: string;
  readonly layerNormEps?: number;
  readonly precisionMode?: string;
  readonly modelType?: string;
}
