import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';
import { CommonOpBuilder } from './manager.js';
import type { BuilderTensors, OpBuilder, ParamOf, StateTensors } from './types.js';

/** The inputs that every operation with a state reads last. */
const stateInputs = ({ state, from, to, qLen }: StateTensors): string[] => [state, from, to, qLen];

/** Our extension CausalConv1d. */
@CommonOpBuilder()
export class CausalConv implements OpBuilder<'CAUSAL_CONV'> {
  readonly category = 'CAUSAL_CONV';

  isMatch(): true {
    return true;
  }

  build(graph: AtbGraph, param: ParamOf<'CAUSAL_CONV'>, tensors: BuilderTensors['CAUSAL_CONV']): void {
    const { opName, hasBias, activates } = param;
    const { input, weight, bias, state, convOut } = tensors;
    const op = new BaseOperation(
      'CausalConv1d',
      { hasBias, activation: activates ? 'swish' : 'none' },
      opName,
    );
    const biases = bias === undefined ? [] : [bias];
    graph.addOperation(op, [input, weight, ...biases, ...stateInputs(state)], [convOut, state.state]);
  }
}

type Param = ParamOf<'RECURRENT'>;
type Tensors = BuilderTensors['RECURRENT'];

function addRecurrent(
  graph: AtbGraph,
  op: BaseOperation,
  { rows, steps, perHead, state, recurrentOut }: Tensors,
): void {
  const inputs = [rows, steps, ...perHead, ...stateInputs(state)];
  graph.addOperation(op, inputs, [recurrentOut, state.state]);
}

/** Our extension GatedDeltaRule. */
@CommonOpBuilder()
export class GatedDelta implements OpBuilder<'RECURRENT'> {
  readonly category = 'RECURRENT';

  isMatch({ rule }: Param): true | string {
    return rule === 'gated_delta' || `wants gated_delta, found ${rule}`;
  }

  build(graph: AtbGraph, param: Param & { readonly rule: 'gated_delta' }, tensors: Tensors): void {
    const { opName, keyHeads, valueHeads, keySize, valueSize, mostBeta, decaysByKey, lowerBound } = param;
    const sizes = {
      keyHeads,
      valueHeads,
      keySize,
      valueSize,
      ...(mostBeta !== 1 && { mostBeta }),
      ...(decaysByKey && { decaysByKey }),
      ...(lowerBound !== undefined && { lowerBound }),
    };
    addRecurrent(graph, new BaseOperation('GatedDeltaRule', sizes, opName), tensors);
  }
}

/** Our extension SelectiveScan. */
@CommonOpBuilder()
export class Mamba2Scan implements OpBuilder<'RECURRENT'> {
  readonly category = 'RECURRENT';

  isMatch({ rule }: Param): true | string {
    return rule === 'mamba2' || `wants mamba2, found ${rule}`;
  }

  build(graph: AtbGraph, param: Param & { readonly rule: 'mamba2' }, tensors: Tensors): void {
    const { opName, heads, headSize, stateSize, groups, steps } = param;
    const [leastStep, mostStep] = steps;
    const sizes = { heads, headSize, stateSize, groups, leastStep, mostStep };
    addRecurrent(graph, new BaseOperation('SelectiveScan', sizes, opName), tensors);
  }
}

/** Our extension SelectiveScan, of heads whose channels have steps of their own. */
@CommonOpBuilder()
export class MambaScan implements OpBuilder<'RECURRENT'> {
  readonly category = 'RECURRENT';

  isMatch({ rule }: Param): true | string {
    return rule === 'mamba' || `wants mamba, found ${rule}`;
  }

  build(graph: AtbGraph, param: Param & { readonly rule: 'mamba' }, tensors: Tensors): void {
    const { opName, heads, headSize, stateSize } = param;
    const sizes = { heads, headSize, stateSize, ...(heads > 1 && { groups: heads }), byChannel: true };
    addRecurrent(graph, new BaseOperation('SelectiveScan', sizes, opName), tensors);
  }
}

/** Our extension RealGatedLru. */
@CommonOpBuilder()
export class GatedLinearUnit implements OpBuilder<'RECURRENT'> {
  readonly category = 'RECURRENT';

  isMatch({ rule }: Param): true | string {
    return rule === 'rg_lru' || `wants rg_lru, found ${rule}`;
  }

  build(graph: AtbGraph, param: Param & { readonly rule: 'rg_lru' }, tensors: Tensors): void {
    const { opName, heads, headSize } = param;
    addRecurrent(graph, new BaseOperation('RealGatedLru', { heads, headSize }, opName), tensors);
  }
}
