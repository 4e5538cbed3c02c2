import type { AtbGraph } from '../../../graph/atb-graph.js';
import type { GraphKind } from '../../../graph/graph-kind.js';
import type { LayerStep } from '../../../layers/decoder/decoder-layers.js';
import { Module } from '../../../layers/module.js';
import type { StepInput } from '../../../step-inputs/index.js';
import type { Encoder } from '../flash-with-encoder-atb.js';

/**
 * An encoder of pictures, and a step that makes rows as wide as words of what it gives: [rows, hidden] -> [tokens,
 * out].
 */
export class ProjectedTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];

  /** `more`: what the projector reads beside the encoder's rows. */
  constructor(
    readonly encoder: Encoder,
    readonly projector: LayerStep,
    more: readonly StepInput[] = [],
  ) {
    super();
    this.stepInputs = [...encoder.stepInputs, ...more];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    return this.projector.buildGraph(graph, kind, this.encoder.buildGraph(graph, kind));
  }
}
