import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import { addScaled } from '../formulas/residual.js';
import { Module } from '../module.js';
import type { NormStep } from '../norms/norms.js';

/** Behind the last layer: the mean of streams [tokens, streams, hidden], and its norm [tokens, hidden]. */
export class MeanOfStreams extends Module {
  constructor(
    private readonly streams: number,
    readonly norm: NormStep,
  ) {
    super();
  }

  buildGraph(graph: AtbGraph, streams: string): string {
    const sum = new BaseOperation('Reduce', { reduceType: 'REDUCE_SUM', axis: [1] }, 'streams_sum');
    graph.addOperation(sum, [streams], ['streams_sum_out']);
    return this.norm.buildGraph(graph, addScaled(graph, 'streams_sum_out', 1 / this.streams, 'streams_mean'));
  }
}
