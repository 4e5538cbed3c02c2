import { CommonOpBuilderManager } from '../../../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation, dim } from '../../../../graph/atb-graph.js';
import type { GraphKind } from '../../../../graph/graph-kind.js';
import { BaseAttention } from '../../../../layers/attention/base-attention.js';
import { encoderAttention } from '../../../../layers/attention-config.js';
import { gatherRows } from '../../../../layers/formulas/gather-rows.js';
import { gatherOrZeros, zeroRow } from '../../../../layers/linear/convolution.js';
import {
  axisSharesOf,
  type DrawnAxis,
  placesAlong,
  squarePlaces,
  WINDOW_LENS,
  WINDOWED,
} from '../../../../step-inputs/index.js';
import type { TensorRef, Weights } from '../../../../weights/weights.js';

/** What SAM's attention is told. */
export interface SamAttentionSizes {
  readonly hiddenSize: number;
  readonly numHeads: number;
  readonly qkvBias: boolean;
  /** Rows along a side of the squares within which rows see each other. */
  readonly side: number;
  /** The name of these squares, for `squarePlaces`. */
  readonly square: string;
  /** Whether these are windows, some of whose rows are empty. */
  readonly isWindowed: boolean;
  /** Where they are none, the input that says how many rows each picture has; `seq_len` when absent. */
  readonly seqLen?: string | undefined;
  /** How vectors of distances are drawn, where the checkpoint has them for squares of another side. */
  readonly drawn?: DrawnAxis | undefined;
}

/**
 * Attention within squares, whose scores are sums: of query and key, of the query and a vector of their distance in
 * lines, of the query and one of their distance in columns (arXiv:2304.02643, appendix A; arXiv:2112.01526, section
 * 3.1). Products of a query with the vectors of all lines, and of all columns, stand behind it; a key has a number
 * where its own line is, and its own column, so that one product of both is the whole sum.
 */
export class SamAttention extends BaseAttention {
  private readonly ofLines: TensorRef;
  private readonly ofColumns: TensorRef;
  private readonly zeros: TensorRef;
  /** Numbers of each query and key for its square's lines, and as many for columns: N. */
  private readonly along: number;

  /** Throws what `BaseAttention` throws. */
  constructor(
    layerId: number,
    private readonly sizes: SamAttentionSizes,
    weights: Weights,
  ) {
    super(layerId, encoderAttention({ ...sizes, denseBias: true }), weights, {
      qkv: { packed: 'qkv', order: 'blocks' },
      dense: 'proj',
    });
    const { headDim } = this.config;
    const table = (name: string) => weights.get(name, [sizes.drawn?.from ?? 2 * sizes.side - 1, headDim]);
    this.along = placesAlong(sizes.side, headDim);
    this.ofLines = table('rel_pos_h');
    this.ofColumns = table('rel_pos_w');
    this.zeros = zeroRow(weights, sizes.hiddenSize);
  }

  override getWeights(): TensorRef[] {
    return [
      ...super.getWeights(),
      this.ofLines,
      this.ofColumns,
      ...(this.sizes.isWindowed ? [this.zeros] : []),
    ];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { isWindowed } = this.sizes;
    const rows = isWindowed ? gatherOrZeros(graph, input, this.zeros, WINDOWED.into, 'windows') : input;
    const attended = this.buildPlacedGraph(graph, kind, rows);
    const dense = this.buildDenseGraph(graph, kind, attended);
    return isWindowed ? gatherRows(graph, dense, WINDOWED.back, 'unwindowed') : dense;
  }

  private buildPlacedGraph(graph: AtbGraph, kind: GraphKind, rows: string): string {
    const { numHeads, square, isWindowed, seqLen = 'seq_len' } = this.sizes;
    const { headDim } = this.config;
    const { q, k, v } = this.buildQkvGraph(graph, rows);
    const beside = (a: string, b: string, out: string): string => {
      graph.addOperation(new BaseOperation('Concat', { concatDim: 2 }, out), [a, b], [out]);
      return out;
    };
    const flat = (heads: string, out: string): string => {
      graph.addReshape(heads, out, [dim(0), dim(1, 2)]);
      return out;
    };
    for (const name of [q, k]) graph.addReshape(name, `${name}_heads`, [dim(0), numHeads, headDim]);
    const lines = this.buildScoresGraph(graph, q, 'lines', this.ofLines);
    const columns = this.buildScoresGraph(graph, q, 'columns', this.ofColumns);
    const queries = beside(beside(`${q}_heads`, lines, 'q_and_lines'), columns, 'q_placed_heads');
    graph.addReshape(squarePlaces(square).places, 'one_place', [dim(0), 1, dim(1)]);
    const repeat = new BaseOperation('Repeat', { multiples: [1, numHeads, 1] }, 'places_repeat');
    graph.addOperation(repeat, ['one_place'], ['places_heads']);
    const keys = beside(`${k}_heads`, 'places_heads', 'k_placed_heads');
    CommonOpBuilderManager.getBuilder({
      ...{ category: 'ATTENTION', opName: 'attention', attnType: 'PAGED_ATTENTION', kind, isCausal: false },
      ...{ headNum: numHeads, kvHeadNum: numHeads, headDim: headDim + 2 * this.along, valueHeadDim: headDim },
      scale: 1 / Math.sqrt(headDim),
    }).build(graph, {
      ...{ q: flat(queries, 'q_placed'), k: flat(keys, 'k_placed'), v },
      ...{ seqLen: isWindowed ? WINDOW_LENS : seqLen, attentionMask: '', qLen: 'q_len' },
      attentionOut: 'attn_out',
    });
    return 'attn_out';
  }

  /**
   * Queries [T, heads * headDim] and a table of distances -> their products with those to each line, or column: [T,
   * heads, N].
   */
  private buildScoresGraph(graph: AtbGraph, q: string, along: 'lines' | 'columns', table: TensorRef): string {
    const { numHeads, side, square, drawn } = this.sizes;
    const { headDim } = this.config;
    const names = squarePlaces(square);
    const name = (what: string) => `${along}_${what}`;
    gatherRows(graph, q, names[along], name('q'));
    graph.addReshape(name('q'), name('queries'), [dim(0), side * numHeads, headDim]);
    const drawnTable = drawn ? this.buildDrawnGraph(graph, table, name('drawn'), drawn) : table.name;
    gatherRows(graph, drawnTable, names.distances, name('table'));
    const linear = new BaseOperation('Linear', { transposeB: true, hasBias: false }, name('products'));
    graph.addOperation(linear, [name('queries'), name('table')], [name('products')]);
    graph.addReshape(name('products'), name('list'), [dim(0), side, numHeads * this.along]);
    graph.addReshape(name('list'), name('rows'), [dim(0, 1), dim(2)]);
    let rows = name('rows');
    if (along === 'columns') {
      // Columns of columns are lines again.
      graph.addReshape(names.columns, 'columns_order', [dim(0, 1)]);
      rows = gatherRows(graph, rows, 'columns_order', name('turned'));
    }
    graph.addReshape(rows, name('scores'), [dim(0), numHeads, this.along]);
    return name('scores');
  }

  /** A table [from, headDim] -> [to, headDim]. */
  private buildDrawnGraph(graph: AtbGraph, table: TensorRef, out: string, drawn: DrawnAxis): string {
    const turn = (input: string, turned: string): string => {
      graph.addOperation(new BaseOperation('Transpose', { perm: [1, 0] }, turned), [input], [turned]);
      return turned;
    };
    const linear = new BaseOperation('Linear', { transposeB: true, hasBias: false }, `${out}_draw`);
    graph.addOperation(linear, [turn(table.name, `${out}_turned`), axisSharesOf(drawn)], [`${out}_columns`]);
    return turn(`${out}_columns`, out);
  }
}
