import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';
import { CommonOpBuilder } from './manager.js';
import { tensorOf } from './tensor-of.js';
import type { BuilderTensors, OpBuilder, ParamOf } from './types.js';

type Param = ParamOf<'NORM'>;
type Tensors = BuilderTensors['NORM'];

/** x / rms(x) * (weight + weightOffset); with `enableAddNorm`, of x + residual. */
@CommonOpBuilder()
export class RmsNorm implements OpBuilder<'NORM'> {
  readonly category = 'NORM';

  isMatch({ normType, bias, weightOffset, enableAddNorm }: Param): true | string {
    if (normType !== 'RmsNorm') return `wants RmsNorm, found ${normType}`;
    if (weightOffset === 1 && enableAddNorm) return 'adds no residual where its weight has an offset';
    return bias === undefined || 'has no bias';
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const { opName, epsilon, weight, weightOffset, enableAddNorm } = param;
    const { input, normOut } = tensors;
    if (enableAddNorm) {
      const [residual, sum] = [tensorOf(param, tensors, 'residualInput'), tensorOf(param, tensors, 'addOut')];
      const preNorm = { layerType: 'RMS_NORM_PRENORM', preNormParam: { epsilon, hasBias: false } } as const;
      const op = new BaseOperation('RmsNorm', preNorm, opName);
      graph.addOperation(op, [input, residual, weight], [normOut, sum]);
      return;
    }
    const normParam = {
      epsilon,
      quantType: 'QUANT_UNDEFINED',
      // ATB's name for a weight that is stored as its distance from one.
      ...(weightOffset === 1 && { modelType: 'GEMMA_MODEL' as const }),
    } as const;
    graph.addOperation(
      new BaseOperation('RmsNorm', { layerType: 'RMS_NORM_NORM', normParam }, opName),
      [input, weight],
      [normOut],
    );
  }
}

/** (x - mean) / deviation * weight + bias over the last axis; with `enableAddNorm`, of x + residual. */
@CommonOpBuilder()
export class LayerNorm implements OpBuilder<'NORM'> {
  readonly category = 'NORM';

  isMatch({ normType, bias }: Param): true | string {
    if (normType !== 'LayerNorm') return `wants LayerNorm, found ${normType}`;
    return bias !== undefined || 'wants a bias';
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const { opName, epsilon, weight, enableAddNorm, axis: beginNormAxis = 1 } = param;
    const { input, normOut } = tensors;
    const bias = tensorOf(param, { bias: param.bias }, 'bias');
    if (enableAddNorm) {
      const [residual, sum] = [tensorOf(param, tensors, 'residualInput'), tensorOf(param, tensors, 'addOut')];
      const preNorm = {
        layerType: 'LAYER_NORM_PRENORM',
        preNormParam: { epsilon, zoomScaleValue: 1 },
      } as const;
      const op = new BaseOperation('LayerNorm', preNorm, opName);
      graph.addOperation(op, [input, residual, weight, bias], [normOut, sum]);
      return;
    }
    const norm = {
      layerType: 'LAYER_NORM_NORM',
      normParam: { epsilon, beginNormAxis, beginParamsAxis: 0, quantType: 'QUANT_UNDEFINED' },
    } as const;
    graph.addOperation(new BaseOperation('LayerNorm', norm, opName), [input, weight, bias], [normOut]);
  }
}
