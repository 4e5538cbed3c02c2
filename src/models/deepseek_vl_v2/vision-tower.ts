import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { PositionFreeAttention } from '../../layers/attention/attention-orders.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import type { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import {
  axisShares,
  type DrawnAxis,
  packedRows,
  SQUARE,
  type StepInput,
  squarePictures,
  windowLens,
} from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import { rowsOf } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { RowPacking } from '../base/llava/index.js';
import {
  buildDrawnSquare,
  CLIP_NAMES,
  clipLayers,
  publishedSam,
  ReducedSam,
  reducedSides,
} from '../base/vision/index.js';
import type { DeepseekOcrConfig } from './config.js';

/** What is seen: a whole page, or tiles of one, which are smaller. */
export type Square = 'page' | 'tile';

/** Of norms of CLIP's: the published code has it so. */
const EPSILON = 1e-5;
/** How many rows CLIP's layers see of each square. */
const ROWS_LENS = 'led_len';

/** Pixels along a side: tiles of pages of 1024 have 640 in the published code. */
export const pixelsAlong = ({ vision }: DeepseekOcrConfig, square: Square): number =>
  square === 'page' ? vision.sam.imageSize : (vision.sam.imageSize * 5) / 8;

/** Rows along a side of such a square behind the convolutions. */
export const rowsAlong = (config: DeepseekOcrConfig, square: Square): number =>
  reducedSides(pixelsAlong(config, square), config.vision.sam.patchSize)[2];

/** Rows of squares, a learned one before those of each, with learned positions, drawn where they are of another size. */
class LedRows extends BaseLayer {
  readonly norm: BaseLayerNorm;
  private readonly classRow: TensorRef;
  private readonly positions: readonly TensorRef[];

  constructor(
    layerId: number,
    weights: Weights,
    private readonly hiddenSize: number,
    side: number,
    private readonly axis: DrawnAxis | undefined,
  ) {
    super(layerId, weights, 'led');
    const embeddings = weights.at('embeddings');
    this.classRow = embeddings.get('class_embedding', [hiddenSize]);
    const table = embeddings.get('position_embedding.weight', [side * side + 1, hiddenSize]);
    this.positions = axis ? [rowsOf(table, 0, 1), rowsOf(table, 1, side * side)] : [table];
    this.norm = new BaseLayerNorm(weights.at('pre_layrnorm'), hiddenSize, EPSILON, { hasBias: true });
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.classRow, ...this.positions];
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, input: string): string {
    const below = (a: string, b: string, out: string): string => {
      graph.addOperation(new BaseOperation('Concat', { concatDim: 0 }, out), [a, b], [out]);
      return out;
    };
    const { axis, hiddenSize } = this;
    const [first, places] = this.positions.map(({ name }) => name) as [string, string?];
    graph.addReshape(this.classRow.name, 'class_row', [1, dim(0)]);
    const rows = gatherRows(graph, below(input, 'class_row', 'all_rows'), SQUARE.rows, 'ordered_rows');
    let table = first;
    if (axis && places !== undefined) {
      graph.addReshape(places, 'places', [axis.from, axis.from, dim(1)]);
      table = below(first, buildDrawnSquare(graph, 'places', axis, hiddenSize), 'position_table');
    }
    const placed = gatherRows(graph, table, SQUARE.positions, 'position_rows');
    return this.norm.buildGraph(graph, addResidual(graph, rows, placed, 'positioned_rows'));
  }
}

/**
 * SAM's encoder, two convolutions, and CLIP over their rows (arXiv:2510.18234, section 3.2); rows of both, side by
 * side, become tokens, and among them rows that end lines and pages: [patches / 16, out].
 */
export class DeepEncoder extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly encoder: ReducedSam;
  readonly front: LedRows;
  readonly layers: readonly PreNormLayer[];
  readonly proj: Linear;
  readonly packing: RowPacking;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(config: DeepseekOcrConfig, weights: Weights, square: Square) {
    super();
    const { vision, hiddenSize: outFeatures } = config;
    const { sam, clip } = vision;
    const { hiddenSize, numLayers } = clip;
    const tower = publishedSam(weights.at('sam_model'));
    const reduction = { weights: tower, names: ['net_2', 'net_3'], sizes: sam.reduced } as const;
    this.encoder = new ReducedSam(
      sam,
      tower,
      reduction,
      square === 'page' ? undefined : pixelsAlong(config, square),
    );
    const [from, to] = [Math.floor(clip.imageSize / clip.patchSize), rowsAlong(config, square)];
    const axis = from === to ? undefined : ({ from, to, filter: 'smoothCubic' } as const);
    const count = to * to;
    const patchesOfRow = Math.floor(pixelsAlong(config, square) / sam.patchSize) ** 2 / count;
    const led = squarePictures(count, false);
    this.stepInputs = [
      ...this.encoder.stepInputs,
      {
        ...led,
        describe: (sizes) => led.describe({ ...sizes, rows: Math.round(sizes.rows / patchesOfRow) }),
      },
      ...(axis ? [axisShares(axis)] : []),
      windowLens(({ shape: [squares] }) => new Int32Array(squares).fill(count + 1), ROWS_LENS),
      packedRows(false, patchesOfRow),
    ];
    const seen = weights.at('vision_model');
    const first = sam.numLayers + 3;
    this.front = new LedRows(first, seen, hiddenSize, from, axis);
    this.layers = clipLayers(
      seen.at('transformer.layers'),
      { ...clip, intermediateSize: 4 * hiddenSize, layerNormEps: EPSILON, hiddenAct: 'quick_gelu' },
      PositionFreeAttention,
      { ...CLIP_NAMES, packed: 'qkv_proj' },
      { first: 0, numberedFrom: first + 1, seqLen: ROWS_LENS },
    );
    this.proj = Linear.load(weights.at('projector'), {
      parts: [{ name: 'layers', outFeatures }],
      inFeatures: hiddenSize + sam.reduced[1],
      hasBias: true,
    });
    const ends = ['image_newline', 'view_seperator'].map((name) => weights.get(name, [outFeatures]));
    this.packing = new RowPacking(first + 1 + numLayers, weights, ends, false);
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    const rows = this.encoder.buildGraph(graph, kind);
    let hidden = this.front.buildGraph(graph, kind, rows);
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    const kept = gatherRows(graph, hidden, SQUARE.kept, 'kept_hidden');
    graph.addOperation(
      new BaseOperation('Concat', { concatDim: 1 }, 'both_encoders'),
      [kept, rows],
      ['both_encoders'],
    );
    return this.packing.buildGraph(
      graph,
      kind,
      buildLinear(graph, this.proj, 'both_encoders', 'projector_out'),
    );
  }
}
