import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import type { TensorRef } from '../../weights/weights.js';
import { addGated } from '../linear/gate.js';
import { Module } from '../module.js';
import type { LayerStep } from './decoder-layers.js';

/** One learned number, whose tanh multiplies what comes by. */
export class TanhGate extends Module {
  /** `gate`: [1]. */
  constructor(private readonly gate: TensorRef) {
    super();
  }

  override getWeights(): TensorRef[] {
    return [this.gate];
  }

  /** `input` [tokens, hidden] -> the tensor whose name it returns, of the same shape. */
  buildGraph(graph: AtbGraph, input: string): string {
    const [tanh, gated] = [`${input}_gate`, `${input}_gated`];
    const activation = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_TANH' }, `${tanh}_tanh`);
    graph.addOperation(activation, [this.gate.name], [tanh]);
    return addGated(graph, input, tanh, gated);
  }
}

/** A step whose result goes through such a gate. */
export class TanhGatedStep extends Module implements LayerStep {
  readonly step: LayerStep;
  readonly gate: TanhGate;

  constructor(step: LayerStep, gate: TensorRef) {
    super();
    this.step = step;
    this.gate = new TanhGate(gate);
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    return this.gate.buildGraph(graph, this.step.buildGraph(graph, kind, input));
  }
}
