import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';
import type { Linear, LinearDesc } from '../weights/linear.js';
import { CommonOpBuilder, CommonOpBuilderManager } from './manager.js';
import type { BuilderTensors, OpBuilder, ParamOf } from './types.js';

const FLOAT_DESCS: readonly LinearDesc[] = ['FLOAT16', 'BFLOAT16', 'FLOAT32'];

@CommonOpBuilder()
export class FpLinear implements OpBuilder<'LINEAR'> {
  readonly category = 'LINEAR';

  isMatch({ linear }: ParamOf<'LINEAR'>): true | string {
    return FLOAT_DESCS.includes(linear.desc) || `wants a float weight, found ${linear.desc}`;
  }

  build(graph: AtbGraph, { opName, linear }: ParamOf<'LINEAR'>, tensors: BuilderTensors['LINEAR']): void {
    const op = new BaseOperation('Linear', { transposeB: true, hasBias: linear.hasBias }, opName);
    graph.addOperation(op, [tensors.input, ...linear.weightNames()], [tensors.linearOut]);
  }
}

/** Adds whatever operations `linear` becomes: input [tokens, in] -> linearOut [tokens, out]. */
export function buildLinear(
  graph: AtbGraph,
  opName: string,
  linear: Linear,
  tensors: BuilderTensors['LINEAR'],
): void {
  CommonOpBuilderManager.getBuilder({ category: 'LINEAR', opName, linear }).build(graph, tensors);
}
