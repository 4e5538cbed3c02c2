import type { AtbGraph } from '../graph/atb-graph.js';
import { buildLinear } from './linear.js';
import { CommonOpBuilder } from './manager.js';
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

  build(graph: AtbGraph, { opName, linears }: Param, { input, gateUpOut }: Tensors): void {
    buildLinear(graph, opName, linears[0], { input, linearOut: gateUpOut });
  }
}

/** Two linears; `gateUpOut` is the gate alone. */
@CommonOpBuilder()
export class GateUpNoPack implements OpBuilder<'GATE_UP'> {
  readonly category = 'GATE_UP';

  isMatch({ linears }: Param): true | string {
    return linears.length === 2 || 'wants two linears, found one packed';
  }

  build(graph: AtbGraph, { opName, linears }: Param, { input, gateUpOut, upOut = '' }: Tensors): void {
    const [gate, up] = linears;
    buildLinear(graph, `${opName}_gate`, gate, { input, linearOut: gateUpOut });
    if (up) buildLinear(graph, `${opName}_up`, up, { input, linearOut: upOut });
  }
}
