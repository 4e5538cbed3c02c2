import type { AtbGraph } from '../graph/atb-graph.js';
import { buildLinear } from './linear.js';
import { CommonOpBuilder } from './manager.js';
import { tensorOf } from './tensor-of.js';
import type { BuilderTensors, OpBuilder, ParamOf } from './types.js';

type Param = ParamOf<'GATE_UP'>;
type Tensors = BuilderTensors['GATE_UP'];

/** One linear whose output holds gate and up side by side. */
@CommonOpBuilder()
export class GateUpPack implements OpBuilder<'GATE_UP'> {
  readonly category = 'GATE_UP';

  isMatch({ linears }: Param): true | string {
    return linears.length === 1 || 'wants one packed linear, found two';
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const linearOut = tensorOf(param, tensors, 'gateUpOut');
    buildLinear(graph, param.opName, param.linears[0], { input: tensors.input, linearOut });
  }
}

/** Two linears, with an output each. */
@CommonOpBuilder()
export class GateUpNoPack implements OpBuilder<'GATE_UP'> {
  readonly category = 'GATE_UP';

  isMatch({ linears }: Param): true | string {
    return linears.length === 2 || 'wants two linears, found one packed';
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const { opName, linears } = param;
    const { input } = tensors;
    const [gate, up] = linears;
    buildLinear(graph, `${opName}_gate`, gate, { input, linearOut: tensorOf(param, tensors, 'gateOut') });
    if (up) buildLinear(graph, `${opName}_up`, up, { input, linearOut: tensorOf(param, tensors, 'upOut') });
  }
}
