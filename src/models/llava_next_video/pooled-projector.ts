import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import type { LayerStep } from '../../layers/decoder/decoder-layers.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { Module } from '../../layers/module.js';
import { LINE_ROWS } from '../../step-inputs/index.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { RowMixing } from '../base/vision/index.js';

/** A learned row in the place of tokens that end a line: [tokens, hidden] -> the same shape. */
class LineEnds extends BaseLayer {
  constructor(
    layerId: number,
    weights: Weights,
    private readonly lineEnd: TensorRef,
  ) {
    super(layerId, weights, 'lines');
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.lineEnd];
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    graph.addReshape(this.lineEnd.name, 'line_end', [1, dim(0)]);
    const concat = new BaseOperation('Concat', { concatDim: 0 }, 'rows_and_end');
    graph.addOperation(concat, [hidden, 'line_end'], ['rows_and_end']);
    return gatherRows(graph, 'rows_and_end', LINE_ROWS, 'lined_rows');
  }
}

/** A projector of means of an encoder's rows, behind which lines end. */
export class PooledProjector extends Module implements LayerStep {
  readonly mixing: RowMixing;
  readonly lines: LineEnds;

  /** `weights`: where the checkpoint has `image_newline`, [hiddenSize]; `layerId`: behind the encoder's last. */
  constructor(
    readonly projector: LayerStep,
    weights: Weights,
    { layerId, hiddenSize }: { readonly layerId: number; readonly hiddenSize: number },
  ) {
    super();
    this.mixing = new RowMixing(layerId, weights);
    this.lines = new LineEnds(layerId + 1, weights, weights.get('image_newline', [hiddenSize]));
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const mixed = this.mixing.buildGraph(graph, kind, input);
    return this.lines.buildGraph(graph, kind, this.projector.buildGraph(graph, kind, mixed));
  }
}
