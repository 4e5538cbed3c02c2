import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';
import type { ActivationParam } from '../graph/ops/activation.js';
import { CommonOpBuilder } from './manager.js';
import { tensorOf } from './tensor-of.js';
import type { BuilderTensors, OpBuilder, ParamOf } from './types.js';

type Param = ParamOf<'ACTIVATION'>;
type Tensors = BuilderTensors['ACTIVATION'];

/** silu(gate) * up in one operation. */
@CommonOpBuilder()
export class SwiGLU implements OpBuilder<'ACTIVATION'> {
  readonly category = 'ACTIVATION';

  isMatch({ kind, isGated }: Param): true | string {
    if (kind !== 'silu') return `wants silu, found ${kind}`;
    return isGated || 'wants a gate';
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const { opName, isPack } = param;
    const gateUp = isPack ? tensorOf(param, tensors, 'input') : `${opName}_gate_up`;
    if (!isPack) {
      const apart = [tensorOf(param, tensors, 'gate'), tensorOf(param, tensors, 'up')];
      graph.addOperation(new BaseOperation('Concat', { concatDim: 1 }, `${opName}_concat`), apart, [gateUp]);
    }
    const swiglu = { activationType: 'ACTIVATION_SWIGLU_FORWARD', dim: -1, ...param.clamp } as const;
    graph.addOperation(new BaseOperation('Activation', swiglu, opName), [gateUp], [tensors.actOut]);
  }
}

/** silu(x). */
@CommonOpBuilder()
export class Swish implements OpBuilder<'ACTIVATION'> {
  readonly category = 'ACTIVATION';

  isMatch({ kind, isGated }: Param): true | string {
    if (kind !== 'silu') return `wants silu, found ${kind}`;
    return !isGated || 'leaves gates to SwiGLU';
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const op = new BaseOperation('Activation', { activationType: 'ACTIVATION_SWISH' }, param.opName);
    graph.addOperation(op, [tensorOf(param, tensors, 'input')], [tensors.actOut]);
  }
}

/** What stands for each kind; quick_gelu(x) is x * sigmoid(1.702 x) (arXiv:1606.08415, section 2). */
const GELUS = {
  gelu: { activationType: 'ACTIVATION_GELU', geluMode: 'NONE_MODE' },
  gelu_tanh: { activationType: 'ACTIVATION_GELU', geluMode: 'TANH_MODE' },
  quick_gelu: { activationType: 'ACTIVATION_SWISH', scale: 1.702 },
} as const satisfies Record<string, ActivationParam>;

/** gelu(x), or gelu(gate) * up; exact, by tanh or by a sigmoid. */
@CommonOpBuilder()
export class Gelu implements OpBuilder<'ACTIVATION'> {
  readonly category = 'ACTIVATION';

  isMatch({ kind }: Param): true | string {
    return kind in GELUS || `wants one of ${Object.keys(GELUS).join(', ')}, found ${kind}`;
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const { opName, kind, isGated } = param;
    const op = new BaseOperation('Activation', GELUS[kind as keyof typeof GELUS], opName);
    if (!isGated) {
      graph.addOperation(op, [tensorOf(param, tensors, 'input')], [tensors.actOut]);
      return;
    }
    const { gate, up } = gateAndUp(graph, param, tensors);
    const activated = `${opName}_gate_act`;
    graph.addOperation(op, [gate], [activated]);
    graph.addOperation(multiply(`${opName}_mul`), [activated, up], [tensors.actOut]);
  }
}

/** relu(x) or its square (arXiv:2109.08668, section 3), or either of a gate times up. */
@CommonOpBuilder()
export class Relu implements OpBuilder<'ACTIVATION'> {
  readonly category = 'ACTIVATION';

  isMatch({ kind }: Param): true | string {
    return kind === 'relu' || kind === 'relu2' || `wants relu or relu2, found ${kind}`;
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const { opName, kind, isGated } = param;
    const { gate, up } = isGated
      ? gateAndUp(graph, param, tensors)
      : { gate: tensorOf(param, tensors, 'input'), up: undefined };
    const squared = kind === 'relu2';
    const activated = isGated ? `${opName}_gate_act` : tensors.actOut;
    const relu = squared ? `${opName}_relu` : activated;
    const op = new BaseOperation('Activation', { activationType: 'ACTIVATION_RELU' }, opName);
    graph.addOperation(op, [gate], [relu]);
    if (squared) graph.addOperation(multiply(`${opName}_square`), [relu, relu], [activated]);
    if (up !== undefined) graph.addOperation(multiply(`${opName}_mul`), [activated, up], [tensors.actOut]);
  }
}

const multiply = (name: string) => new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, name);

/** The names of a gate and up apart; cuts them from one another where they lie in one tensor. */
function gateAndUp(
  graph: AtbGraph,
  param: Param,
  tensors: Tensors,
): { readonly gate: string; readonly up: string } {
  if (!param.isPack) return { gate: tensorOf(param, tensors, 'gate'), up: tensorOf(param, tensors, 'up') };
  const { opName } = param;
  const apart = { gate: `${opName}_gate`, up: `${opName}_up` };
  const split = new BaseOperation('Split', { splitDim: 1, splitNum: 2 }, `${opName}_split`);
  graph.addOperation(split, [tensorOf(param, tensors, 'input')], [apart.gate, apart.up]);
  return apart;
}
