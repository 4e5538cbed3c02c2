import { type AtbGraph, BaseOperation, dim } from '../../../graph/atb-graph.js';
import type { GraphKind } from '../../../graph/graph-kind.js';
import { BaseLayer } from '../../../layers/decoder/base-layer.js';
import type { LayerStep } from '../../../layers/decoder/decoder-layers.js';
import { gatherRows } from '../../../layers/formulas/gather-rows.js';
import { addResidual } from '../../../layers/formulas/residual.js';
import { Module } from '../../../layers/module.js';
import { PACKED_ROWS } from '../../../step-inputs/index.js';
import type { TensorRef, Weights } from '../../../weights/weights.js';

/** Tokens of the rows of tiles, and of learned rows, as one that ends each line: [rows, hidden] -> [tokens, hidden]. */
export class RowPacking extends BaseLayer {
  /** `others`: the learned rows, [hidden] each, which stand behind all; `isMixed`: see `packedRows`. */
  constructor(
    layerId: number,
    weights: Weights,
    private readonly others: readonly TensorRef[],
    private readonly isMixed: boolean,
  ) {
    super(layerId, weights, 'packing');
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), ...this.others];
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    let rows = hidden;
    for (const [at, { name }] of this.others.entries()) {
      const [other, all] = [`learned_row_${at}`, `rows_and_${at + 1}`];
      graph.addReshape(name, other, [1, dim(0)]);
      graph.addOperation(new BaseOperation('Concat', { concatDim: 0 }, all), [rows, other], [all]);
      rows = all;
    }
    const summands = this.isMixed ? PACKED_ROWS : PACKED_ROWS.slice(0, 1);
    const taken = summands.map(({ rows: wanted, shares }) => {
      const row = gatherRows(graph, rows, wanted, `taken_${wanted}`);
      if (!this.isMixed) return row;
      const multiply = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, `share_of_${wanted}`);
      graph.addOperation(multiply, [row, shares], [`share_of_${wanted}`]);
      return `share_of_${wanted}`;
    });
    return taken.reduce((sum, more, summand) => addResidual(graph, sum, more, `packed_sum_${summand}`));
  }
}

/** What brings an encoder's rows to the size of words, and puts tokens together of what it gives. */
export class PackedProjector extends Module implements LayerStep {
  readonly packing: RowPacking;

  /** `weights`: where the checkpoint has `image_newline`, [hiddenSize]; `layerId`: behind the encoder's last. */
  constructor(
    readonly projector: LayerStep,
    weights: Weights,
    {
      layerId,
      hiddenSize,
      isMixed,
    }: { readonly layerId: number; readonly hiddenSize: number; readonly isMixed: boolean },
  ) {
    super();
    const lineEnd = weights.get('image_newline', [hiddenSize]);
    this.packing = new RowPacking(layerId, weights, [lineEnd], isMixed);
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    return this.packing.buildGraph(graph, kind, this.projector.buildGraph(graph, kind, input));
  }
}
