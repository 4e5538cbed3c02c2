import type { AtbGraph } from '../../../graph/atb-graph.js';
import type { GraphKind } from '../../../graph/graph-kind.js';
import type { BaseLayer } from '../../../layers/decoder/base-layer.js';
import { Module } from '../../../layers/module.js';
import { lengths, SOUND, type StepInput } from '../../../step-inputs/index.js';
import type { Encoder } from '../flash-with-encoder-atb.js';

/** A part of an encoder: rows -> rows. */
type RowStep = Module & { buildGraph(graph: AtbGraph, kind: GraphKind, rows: string): string };

/** An encoder of sound: frames of a spectrogram become rows, which see each other in layers, and then tokens. */
export class SoundTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];

  /**
   * `stepInputs`: what the parts read, beside how many rows see each other; `sound`: that which is the sound itself.
   */
  constructor(
    readonly front: RowStep,
    readonly layers: readonly BaseLayer[],
    readonly back: RowStep,
    stepInputs: readonly StepInput[],
    private readonly sound: string = SOUND.frames,
  ) {
    super();
    this.stepInputs = [...stepInputs, lengths];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    let hidden = this.front.buildGraph(graph, kind, this.sound);
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    return this.back.buildGraph(graph, kind, hidden);
  }
}
