import type { ActivationKind } from '../../../../common-op-builders/index.js';
import { type AtbGraph, dim } from '../../../../graph/atb-graph.js';
import type { GraphKind } from '../../../../graph/graph-kind.js';
import { BaseLayer } from '../../../../layers/decoder/base-layer.js';
import { type LayerStep, PreNormLayer } from '../../../../layers/decoder/decoder-layers.js';
import { gatherRows } from '../../../../layers/formulas/gather-rows.js';
import { addResidual } from '../../../../layers/formulas/residual.js';
import { SquareConv } from '../../../../layers/linear/convolution.js';
import { buildLinear } from '../../../../layers/linear/linear-steps.js';
import { UngatedMLP } from '../../../../layers/mlp/mlp.js';
import { Module } from '../../../../layers/module.js';
import { BaseLayerNorm } from '../../../../layers/norms/norms.js';
import {
  axisShares,
  BUCKETED_POSITIONS,
  type DrawnAxis,
  evenWindow,
  gridPositions,
  lengths,
  neighbours,
  ofWholePictures,
  PATCHES,
  patches,
  type StepInput,
  squareDistances,
  squareWindows,
  windowLens,
} from '../../../../step-inputs/index.js';
import { Linear } from '../../../../weights/linear.js';
import type { TensorRef, Weights } from '../../../../weights/weights.js';
import type { Encoder } from '../../flash-with-encoder-atb.js';
import { patchLinear } from '../clip-tower.js';
import { buildDrawnSquare } from '../drawn-square.js';
import { buildEachLayer } from '../feature-layer.js';
import { SamAttention } from './attention.js';

/** Of the norms behind the layers: the class has it so. */
const EPSILON = 1e-6;
/** Of its convolutions. */
const KERNEL = 3;

/** What SAM's encoder is told by the configuration. */
export interface SamSizes {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  /** Of what it gives. */
  readonly outSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly imageSize: number;
  readonly patchSize: number;
  readonly epsilon: number;
  readonly hiddenAct: ActivationKind;
  readonly qkvBias: boolean;
  /** See `SamAttentionSizes`. */
  readonly seqLen?: string;
  /** Patches along a side of a window; layers that see whole pictures instead. */
  readonly windowSize: number;
  readonly wholeLayers: readonly number[];
}

/** Patches and their learned positions: [patches, hidden]. */
class SamFront extends BaseLayer {
  readonly proj: Linear;
  private readonly positions: TensorRef;

  /** `side`: along which the checkpoint has positions; `axis`: how they are drawn to others. */
  constructor(
    tower: Weights,
    { hiddenSize, patchSize }: SamSizes,
    side: number,
    private readonly axis?: DrawnAxis,
  ) {
    // Its result comes before that of layer 0.
    super(-1, tower, 'front');
    this.proj = patchLinear(tower, 'patch_embed.projection', hiddenSize, patchSize, true);
    this.positions = tower.get('pos_embed', [1, side, side, hiddenSize]);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.positions];
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, input: string): string {
    const embedded = buildLinear(graph, this.proj, input, 'patch_embedding_out');
    const { positions, axis } = this;
    if (axis) graph.addReshape(positions.name, 'places', [dim(0, 1), dim(2), dim(3)]);
    else graph.addReshape(positions.name, 'position_table', [dim(0, 1, 2), dim(3)]);
    const hidden = positions.shape.at(-1) ?? 0;
    const table = axis ? buildDrawnSquare(graph, 'places', axis, hidden) : 'position_table';
    const rows = gatherRows(graph, table, BUCKETED_POSITIONS, 'position_rows');
    return addResidual(graph, embedded, rows, 'positioned_patches');
  }
}

/** Where a convolution is, and what it makes of what. */
export interface ConvolutionSizes {
  readonly name: string;
  /** Tells its graph apart where others have the same name; the name when absent. */
  readonly variant?: string;
  readonly inSize: number;
  readonly outSize: number;
  /** Rows along a side of a square, of which it takes every so manieth. */
  readonly side: number;
  readonly stride: number;
}

/**
 * A convolution of 3 x 3 without bias over squares of rows, beyond whose edges there are zeros: [rows, in] -> [fewer,
 * out].
 */
export class Convolution extends BaseLayer {
  readonly conv: SquareConv;

  constructor(layerId: number, weights: Weights, { side, stride, variant, ...sizes }: ConvolutionSizes) {
    super(layerId, weights, variant ?? sizes.name);
    this.conv = new SquareConv(weights, { ...sizes, window: evenWindow(side, KERNEL, stride) });
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, input: string): string {
    return this.conv.buildGraph(graph, input, 'convolved');
  }
}

/** Rows come to another width, and see those about them: [patches, hidden] -> [patches, out]. */
export class SamNeck extends BaseLayer {
  readonly conv1: Linear;
  readonly norm1: BaseLayerNorm;
  readonly conv2: SquareConv;
  readonly norm2: BaseLayerNorm;

  constructor(neck: Weights, { hiddenSize, outSize, numLayers }: SamSizes, side: number) {
    super(numLayers, neck, 'neck');
    this.conv1 = Linear.load(neck, {
      parts: [{ name: 'conv1', outFeatures: outSize, kernel: [hiddenSize, 1, 1] }],
      inFeatures: hiddenSize,
    });
    this.norm1 = new BaseLayerNorm(neck.at('layer_norm1'), outSize, EPSILON);
    const window = evenWindow(side, KERNEL, 1);
    this.conv2 = new SquareConv(neck, { name: 'conv2', inSize: outSize, outSize, window });
    this.norm2 = new BaseLayerNorm(neck.at('layer_norm2'), outSize, EPSILON);
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    const narrow = this.norm1.buildGraph(graph, buildLinear(graph, this.conv1, hidden, 'neck_conv1_out'));
    return this.norm2.buildGraph(graph, this.conv2.buildGraph(graph, narrow, 'convolved'));
  }
}

/**
 * SAM's encoder of square pictures (arXiv:2304.02643, section 3): most layers see windows, vectors of distances are
 * parts of scores, and a convolution is behind the layers. [patches, out]
 */
export class SamEncoder extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly front: SamFront;
  readonly layers: readonly PreNormLayer[];
  readonly neck: SamNeck;

  /**
   * `drawn`: pixels along a side of pictures for which positions and distances are drawn, where they are not as large
   * as the checkpoint's. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED.
   */
  constructor(sizes: SamSizes, tower: Weights, drawn?: number) {
    super();
    const { hiddenSize, numLayers, numHeads, patchSize, windowSize, wholeLayers, epsilon } = sizes;
    const from = Math.floor(sizes.imageSize / patchSize);
    const side = Math.floor((drawn ?? sizes.imageSize) / patchSize);
    const positions = drawn === undefined ? undefined : ({ from, to: side, filter: 'smoothCubic' } as const);
    const distances = positions && ({ from: 2 * from - 1, to: 2 * side - 1, filter: 'linear' } as const);
    const windows = Math.ceil(side / windowSize) ** 2;
    const headDim = hiddenSize / numHeads;
    const isWhole = (layer: number): boolean => wholeLayers.includes(layer);
    const all = Array.from({ length: numLayers }, (_, layer) => isWhole(layer));
    const area = side * side;
    this.stepInputs = ofWholePictures(area, [
      patches(3 * patchSize * patchSize),
      gridPositions(side),
      ...(positions ? [axisShares(positions)] : []),
      ...(distances && all.includes(true) ? [axisShares(distances)] : []),
      lengths,
      ...(all.includes(true) ? [squareDistances('whole', { side, each: 1, patches: area, headDim })] : []),
      ...(all.includes(false)
        ? [
            squareWindows(side, windowSize),
            windowLens(({ shape: [squares] }) => new Int32Array(squares * windows).fill(windowSize ** 2)),
            squareDistances('window', { side: windowSize, each: windows, patches: area, headDim }),
          ]
        : []),
      neighbours(evenWindow(side, KERNEL, 1), area),
    ]);
    this.front = new SamFront(tower, sizes, from, positions);
    const mlp = { ...sizes, mlpBias: true };
    this.layers = all.map((sees, layerId) => {
      const at = tower.at('layers').at(layerId);
      const square = sees
        ? { side, square: 'whole', isWindowed: false, drawn: distances }
        : { side: windowSize, square: 'window', isWindowed: true };
      const parts = {
        inputLayernorm: new BaseLayerNorm(at.at('layer_norm1'), hiddenSize, epsilon),
        selfAttn: new SamAttention(layerId, { ...sizes, ...square }, at.at('attn')),
        postAttentionLayernorm: new BaseLayerNorm(at.at('layer_norm2'), hiddenSize, epsilon),
        mlp: new UngatedMLP(mlp, at.at('mlp'), { names: { up: 'lin1', down: 'lin2' } }),
      };
      return new PreNormLayer(layerId, at, parts, sees ? '' : 'window');
    });
    this.neck = new SamNeck(tower.at('neck'), sizes, side);
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    return this.buildRowsGraphs(graph, kind).rows;
  }

  /** Returns the names of the rows, and of what each layer gives. */
  buildRowsGraphs(graph: AtbGraph, kind: GraphKind): { readonly rows: string; readonly ofLayers: string[] } {
    const front = this.front.buildGraph(graph, kind, PATCHES);
    const [, ...ofLayers] = buildEachLayer(graph, kind, this.layers, front);
    return { rows: this.neck.buildGraph(graph, kind, ofLayers.at(-1) ?? front), ofLayers };
  }
}
