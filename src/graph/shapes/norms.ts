import type { Inputs, ShapeRules, TensorDesc } from './inputs.js';

const quantised = (x: TensorDesc): TensorDesc => ({ dtype: 'i8', shape: x.shape });

/** Outputs of a norm of x + residual: PRENORM gives the sum too, POSTNORM only when it also gives int8. */
function residualOutputs(x: TensorDesc, isPre: boolean, quantType = 'QUANT_UNDEFINED'): TensorDesc[] {
  const isQuant = quantType === 'QUANT_INT8';
  return [isQuant ? quantised(x) : x, ...(isPre || isQuant ? [x] : [])];
}

function weightOf(inputs: Inputs, index: number): void {
  inputs.equal(`the size of input ${index}`, inputs.size(index, -1), inputs.size(0, -1));
}

export const NORM_SHAPES: ShapeRules<'RmsNorm' | 'LayerNorm'> = {
  RmsNorm(inputs, param) {
    const x = inputs.at(0);
    if (param.layerType === 'RMS_NORM_NORM') {
      weightOf(inputs, 1);
      return [param.normParam.quantType === 'QUANT_INT8' ? quantised(x) : x];
    }
    const isPre = param.layerType === 'RMS_NORM_PRENORM';
    const { quantType, hasBias = false } = isPre ? param.preNormParam : param.postNormParam;
    const residual = hasBias ? 2 : 1;
    inputs.sameShape(residual, x.shape);
    weightOf(inputs, residual + 1);
    return residualOutputs(x, isPre, quantType);
  },
  LayerNorm(inputs, param) {
    const x = inputs.at(0);
    if (param.layerType === 'LAYER_NORM_NORM') {
      weightOf(inputs, 1);
      weightOf(inputs, 2);
      return [param.normParam.quantType === 'QUANT_INT8' ? quantised(x) : x];
    }
    const isPre = param.layerType === 'LAYER_NORM_PRENORM';
    inputs.sameShape(1, x.shape);
    weightOf(inputs, 2);
    weightOf(inputs, 3);
    return residualOutputs(x, isPre, (isPre ? param.preNormParam : param.postNormParam).quantType);
  },
};
