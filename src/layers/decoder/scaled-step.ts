import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import type { TensorRef } from '../../weights/weights.js';
import { Module } from '../module.js';
import type { LayerStep } from './decoder-layers.js';

/** A step whose result is multiplied by a learned factor for each channel (arXiv:2103.17239, section 2.3). */
export class ScaledStep extends Module implements LayerStep {
  constructor(
    readonly step: LayerStep,
    private readonly factors: TensorRef,
  ) {
    super();
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.factors];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const result = this.step.buildGraph(graph, kind, input);
    const scaled = `scaled_${result}`;
    const multiply = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, `${scaled}_mul`);
    graph.addOperation(multiply, [result, this.factors.name], [scaled]);
    return scaled;
  }
}
