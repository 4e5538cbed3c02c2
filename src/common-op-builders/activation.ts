import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';
import type { ActivationParam } from '../graph/ops/activation.js';
import { CommonOpBuilder } from './manager.js';
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

  build(graph: AtbGraph, { opName, isPack }: Param, { input, other = '', actOut }: Tensors): void {
    const gateUp = isPack ? input : `${opName}_gate_up`;
    if (!isPack) {
      graph.addOperation(
        new BaseOperation('Concat', { concatDim: 1 }, `${opName}_concat`),
        [input, other],
        [gateUp],
      );
    }
    const param = { activationType: 'ACTIVATION_SWIGLU_FORWARD', dim: -1 } as const;
    graph.addOperation(new BaseOperation('Activation', param, opName), [gateUp], [actOut]);
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

  build(graph: AtbGraph, { opName }: Param, { input, actOut }: Tensors): void {
    const op = new BaseOperation('Activation', { activationType: 'ACTIVATION_SWISH' }, opName);
    graph.addOperation(op, [input], [actOut]);
  }
}

/** gelu(x), or gelu(gate) * up; exact or by tanh. */
@CommonOpBuilder()
export class Gelu implements OpBuilder<'ACTIVATION'> {
  readonly category = 'ACTIVATION';

  isMatch({ kind }: Param): true | string {
    return kind === 'gelu' || kind === 'gelu_tanh' || `wants gelu or gelu_tanh, found ${kind}`;
  }

  build(graph: AtbGraph, { opName, kind, isGated, isPack }: Param, tensors: Tensors): void {
    const param: ActivationParam = {
      activationType: 'ACTIVATION_GELU',
      geluMode: kind === 'gelu' ? 'NONE_MODE' : 'TANH_MODE',
    };
    const op = new BaseOperation('Activation', param, opName);
    if (!isGated) {
      graph.addOperation(op, [tensors.input], [tensors.actOut]);
      return;
    }
    const [gate, up] = isPack ? [`${opName}_gate`, `${opName}_up`] : [tensors.input, tensors.other ?? ''];
    if (isPack) {
      const split = new BaseOperation('Split', { splitDim: 1, splitNum: 2 }, `${opName}_split`);
      graph.addOperation(split, [tensors.input], [gate, up]);
    }
    const activated = `${opName}_gate_act`;
    graph.addOperation(op, [gate], [activated]);
    const mul = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, `${opName}_mul`);
    graph.addOperation(mul, [activated, up], [tensors.actOut]);
  }
}
