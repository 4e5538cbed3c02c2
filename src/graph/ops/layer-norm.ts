import { elementCount } from '../../dtype.js';
import { type OpDefinition, onlyKnown, unless } from './definition.js';
import type { TensorDesc } from './inputs.js';
import {
  blockProblems,
  type NormQuant,
  normLacks,
  quantised,
  residualOutputs,
  weightOf,
  weightProblems,
  widthProblems,
} from './norm.js';

/** x, gamma, beta -> (x - mean) / deviation * gamma + beta. `layerType` selects which of the nested blocks ATB reads. */
export type LayerNormParam =
  | {
      readonly layerType: 'LAYER_NORM_NORM';
      readonly normParam: NormForm;
    }
  | {
      readonly layerType: 'LAYER_NORM_PRENORM';
      readonly preNormParam: ResidualLayerNorm;
    }
  | {
      readonly layerType: 'LAYER_NORM_POSTNORM';
      readonly postNormParam: ResidualLayerNorm;
    };

interface NormForm {
  readonly epsilon: number;
  readonly beginNormAxis: number;
  readonly beginParamsAxis?: number;
  readonly quantType?: NormQuant;
}

/** x, residual, gamma, beta -> norm of x + zoomScaleValue * residual. PRENORM gives the sum as well. */
interface ResidualLayerNorm {
  readonly epsilon: number;
  readonly zoomScaleValue?: number;
  readonly quantType?: NormQuant;
}

export const layerNorm: OpDefinition<'LayerNorm', LayerNormParam> = {
  type: 'LayerNorm',
  lacks: (param) => normLacks(param, 'LAYER_NORM_'),
  arity(param) {
    if (param.layerType === 'LAYER_NORM_NORM') {
      return { inputs: param.normParam.quantType === 'QUANT_INT8' ? 5 : 3, outputs: 1 };
    }
    const isPre = param.layerType === 'LAYER_NORM_PRENORM';
    const isQuant = (isPre ? param.preNormParam : param.postNormParam).quantType === 'QUANT_INT8';
    return { inputs: isQuant ? 6 : 4, outputs: isPre || isQuant ? 2 : 1 };
  },
  shapes(inputs, param) {
    const x = inputs.at(0);
    if (param.layerType === 'LAYER_NORM_NORM') {
      // Gamma and beta belong to all axes that are normalised together.
      const size = elementCount(x.shape.slice(param.normParam.beginNormAxis));
      for (const index of [1, 2])
        inputs.equal(`the size of input ${index}`, elementCount(inputs.at(index).shape), size);
      return [param.normParam.quantType === 'QUANT_INT8' ? quantised(x) : x];
    }
    const isPre = param.layerType === 'LAYER_NORM_PRENORM';
    inputs.sameShape(1, x.shape);
    weightOf(inputs, 2);
    weightOf(inputs, 3);
    return residualOutputs(x, isPre, (isPre ? param.preNormParam : param.postNormParam).quantType);
  },
  atb: {
    section(param) {
      if (param.layerType === 'LAYER_NORM_PRENORM') return 'LayerNormOperationPrenorm';
      const isPost = param.layerType === 'LAYER_NORM_POSTNORM';
      const isQuant = (isPost ? param.postNormParam : param.normParam).quantType === 'QUANT_INT8';
      return `LayerNormOperation${isPost ? 'Postnorm' : 'Norm'}${isQuant ? 'Quant' : ''}`;
    },
    problems(param, inputs) {
      const rows = widthProblems(inputs[0]?.shape.at(-1) ?? 0, 2);
      if (param.layerType === 'LAYER_NORM_NORM') {
        const { normParam } = param;
        const isQuant = normParam.quantType === 'QUANT_INT8';
        return [
          ...blockProblems(normParam),
          ...axisProblems(normParam, inputs),
          ...onlyKnown(normParam, { dynamicQuantType: 'DYNAMIC_QUANT_UNDEFINED' }),
          ...(isQuant
            ? [...rows, ...weightProblems(inputs, [1, 2], [3, 4])]
            : inputs.slice(1, 3).flatMap(({ shape }, index) => lastProblems(shape, index + 1, inputs[0]))),
        ];
      }
      const isPre = param.layerType === 'LAYER_NORM_PRENORM';
      const block = isPre ? param.preNormParam : param.postNormParam;
      const isQuant = block.quantType === 'QUANT_INT8';
      return [
        ...blockProblems(block, isPre ? ['QUANT_UNDEFINED'] : undefined),
        // layer_norm_operation.cpp, PreNormParamCheck and PostNormParamCheck; the parser reads the key with its space.
        ...onlyKnown(block, { 'opMode ': 0 }),
        ...rows,
        ...weightProblems(inputs, [2, 3], isQuant ? [4, 5] : []),
      ];
    },
  },
};

/** layer_norm_operation.cpp, LastDimCheck. */
const lastProblems = (shape: readonly number[], index: number, x: TensorDesc | undefined): string[] =>
  unless(
    shape.at(-1) === x?.shape.at(-1),
    `the last axis of input ${index} must be x's, ${x?.shape.at(-1)}, found [${shape}]`,
  );

/** ATB, layer_norm_operation.cpp, ParamCheck: gamma has the axes of x from `beginNormAxis` on. Not asked of norms into int8. */
function axisProblems(
  { beginNormAxis, quantType = 'QUANT_UNDEFINED' }: NormForm,
  [x, gamma]: readonly TensorDesc[],
): string[] {
  if (x === undefined || gamma === undefined || quantType === 'QUANT_INT8') return [];
  const [axes, own] = [x.shape.length, gamma.shape.length];
  const fits = beginNormAxis < 0 ? -beginNormAxis === own : beginNormAxis + own === axes;
  return unless(fits, `beginNormAxis must leave gamma's ${own} axes of x's ${axes}, found ${beginNormAxis}`);
}
