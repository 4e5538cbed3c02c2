import { type ActivationKind, CommonOpBuilderManager } from '../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { PositionFreeAttention } from '../../layers/attention/attention-orders.js';
import { encoderAttention } from '../../layers/attention-config.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { addPair, addResidual, addScaled } from '../../layers/formulas/residual.js';
import { buildPixelRows, DepthwiseConv, SquareConv } from '../../layers/linear/convolution.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { TrainedNorm } from '../../layers/norms/trained-norm.js';
import { evenWindow, POOLED_ROWS, squareLensOf } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import { asVector } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';

const COLOURS = 3;
const HEAD_DIM = 32;
/** Of norms of rows. */
const EPSILON = 1e-5;
/** Rows along a side that convolutions of each channel see. */
const [NARROW, WIDE] = [3, 7];
const HALVES = 2;
/** Channels of the squeezed mean, of how many of a row's. */
const SQUEEZED = 16;

/** Adds gelu, or another. Returns its name. */
function activated(graph: AtbGraph, input: string, kind: ActivationKind = 'gelu'): string {
  const actOut = `${input}_act`;
  const sizes = { category: 'ACTIVATION', kind, isGated: false, isPack: false } as const;
  CommonOpBuilderManager.getBuilder({ ...sizes, opName: actOut }).build(graph, { input, actOut });
  return actOut;
}

/** A convolution that sees one row: a product. */
const pointConv = (weights: Weights, name: string, inFeatures: number, outFeatures: number): Linear =>
  Linear.load(weights, {
    ...{ parts: [{ name, outFeatures, kernel: [inFeatures, 1, 1] }], inFeatures, hasBias: true },
  });

/** The one convolution that branches of training have become. */
const folded = (name: string): string => `${name}.reparam_conv`;

/** Twice as many channels, each beside itself: [rows, channels] -> `out` [rows, 2 * channels]. */
function buildTwice(graph: AtbGraph, input: string, out: string): string {
  graph.addReshape(input, `${out}_single`, [dim(0), dim(1), 1]);
  const repeat = new BaseOperation('Repeat', { multiples: [1, 1, 2] }, `${out}_repeat`);
  graph.addOperation(repeat, [`${out}_single`], [`${out}_pairs`]);
  graph.addReshape(`${out}_pairs`, out, [dim(0), dim(1, 2)]);
  return out;
}

/** Pixels of patches through a convolution, one of each channel, and a product: a quarter as many rows along each side. */
export class FastVitStem extends BaseLayer {
  readonly first: SquareConv;
  readonly second: DepthwiseConv;
  readonly third: Linear;

  constructor(
    weights: Weights,
    private readonly pixels: number,
    side: number,
    width: number,
  ) {
    // Its result comes before that of the first block.
    super(-1, weights, 'stem');
    const [finer, coarser] = [side, Math.ceil(side / 2)].map((of) => evenWindow(of, NARROW, HALVES));
    this.first = new SquareConv(weights, {
      ...{ name: folded('0'), inSize: COLOURS, outSize: width, hasBias: true },
      window: finer as NonNullable<typeof finer>,
    });
    this.second = new DepthwiseConv(
      weights.at(folded('1')),
      width,
      coarser as NonNullable<typeof coarser>,
      true,
    );
    this.third = pointConv(weights, folded('2'), width, width);
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, input: string): string {
    const pixels = buildPixelRows(graph, input, COLOURS, this.pixels);
    const first = activated(graph, this.first.buildGraph(graph, pixels, 'stem_0'));
    const second = activated(graph, this.second.buildGraph(graph, first, 'stem_1'));
    return activated(graph, buildLinear(graph, this.third, second, 'stem_2_out'));
  }
}

/** What stands before a stage: half as many rows along each side, perhaps more channels, and positions by convolution. */
export class FastVitDownsampling extends BaseLayer {
  readonly conv: DepthwiseConv;
  readonly proj: Linear;
  readonly positions: DepthwiseConv | undefined;
  private readonly doubles: boolean;

  constructor(
    layerId: number,
    weights: Weights,
    { side, inSize, outSize, attends }: { side: number; inSize: number; outSize: number; attends: boolean },
  ) {
    super(layerId, weights, `down_${side}`);
    const window = evenWindow(side, WIDE, HALVES);
    this.doubles = outSize > inSize;
    const at = weights.at('downsample').at('proj');
    this.conv = new DepthwiseConv(at.at(folded('0')), outSize, window, true);
    this.proj = pointConv(at, folded('1'), outSize, outSize);
    const within = evenWindow(window.outSide, WIDE, 1);
    this.positions = attends
      ? new DepthwiseConv(weights.at(folded('pos_emb')), outSize, within, true)
      : undefined;
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    const rows = this.doubles ? buildTwice(graph, hidden, 'doubled') : hidden;
    const fewer = activated(graph, this.conv.buildGraph(graph, rows, 'fewer'));
    const projected = activated(graph, buildLinear(graph, this.proj, fewer, 'down_out'));
    return this.positions?.buildGraph(graph, projected, 'positioned') ?? projected;
  }
}

/** A convolution of each channel whose results are normed, and two products; what comes out has a factor for each channel. */
class ConvMlp extends Module {
  readonly conv: DepthwiseConv;
  readonly norm: TrainedNorm;
  readonly up: Linear;
  readonly down: Linear;
  private readonly gamma: TensorRef;

  constructor(weights: Weights, scale: Weights, side: number, [size, inner]: readonly [number, number]) {
    super();
    this.conv = new DepthwiseConv(weights.at('conv.conv'), size, evenWindow(side, WIDE, 1));
    this.norm = new TrainedNorm(weights.at('conv.bn'), size);
    this.up = pointConv(weights, 'fc1', size, inner);
    this.down = pointConv(weights, 'fc2', inner, size);
    this.gamma = channelFactors(scale, size);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.gamma];
  }

  /** `hidden` and what is added to it: `out`. */
  buildGraph(graph: AtbGraph, hidden: string, out: string): string {
    const rows = this.norm.buildGraph(graph, this.conv.buildGraph(graph, hidden, 'mlp_conv'), 'mlp_norm');
    const up = activated(graph, buildLinear(graph, this.up, rows, 'mlp_up_out'));
    const down = buildLinear(graph, this.down, up, 'mlp_down_out');
    return addResidual(
      graph,
      hidden,
      addPair(graph, 'ELEWISE_MUL', down, this.gamma.name, 'mlp_scaled'),
      out,
    );
  }
}

const channelFactors = (weights: Weights, size: number): TensorRef =>
  asVector(weights.get('gamma', [size, 1, 1]));

/** What a block is told. */
export interface FastVitBlockSizes {
  readonly layerId: number;
  readonly side: number;
  readonly size: number;
  readonly inner: number;
}

/** A convolution of each channel takes the place of attention (arXiv:2303.14189, section 3.2). */
export class FastVitMixer extends BaseLayer {
  readonly mixer: DepthwiseConv;
  readonly mlp: ConvMlp;

  constructor(weights: Weights, { layerId, side, size, inner }: FastVitBlockSizes) {
    super(layerId, weights, `mixer_${side}`);
    const at = weights.at(folded('token_mixer'));
    this.mixer = new DepthwiseConv(at, size, evenWindow(side, NARROW, 1), true);
    this.mlp = new ConvMlp(weights.at('mlp'), weights.at('layer_scale'), side, [size, inner]);
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    return this.mlp.buildGraph(graph, this.mixer.buildGraph(graph, hidden, 'mixed'), 'layer_out');
  }
}

/** Attention of all rows of a square, then the same MLP. */
export class FastVitAttention extends BaseLayer {
  readonly norm: BaseLayerNorm;
  readonly attention: PositionFreeAttention;
  readonly mlp: ConvMlp;
  private readonly gamma: TensorRef;

  constructor(weights: Weights, { layerId, side, size, inner }: FastVitBlockSizes) {
    super(layerId, weights, `attending_${side}`);
    const heads = { hiddenSize: size, numHeads: size / HEAD_DIM, qkvBias: false, denseBias: true };
    this.norm = new BaseLayerNorm(weights.at('norm'), size, EPSILON);
    this.attention = new PositionFreeAttention(layerId, encoderAttention(heads), weights.at('token_mixer'), {
      ...{ qkv: { packed: 'qkv', order: 'blocks' }, dense: 'proj' },
      seqLen: squareLensOf(side ** 2, side ** 2),
    });
    this.gamma = channelFactors(weights.at('layer_scale_1'), size);
    this.mlp = new ConvMlp(weights.at('mlp'), weights.at('layer_scale_2'), side, [size, inner]);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.gamma];
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const attended = this.attention.buildGraph(graph, kind, this.norm.buildGraph(graph, hidden));
    const scaled = addPair(graph, 'ELEWISE_MUL', attended, this.gamma.name, 'attended_scaled');
    return this.mlp.buildGraph(graph, addResidual(graph, hidden, scaled, 'attended'), 'layer_out');
  }
}

/** Twice as many channels, each of which has a gate by the mean of all channels over a picture (arXiv:1709.01507). */
export class FastVitEnd extends BaseLayer {
  readonly conv: DepthwiseConv;
  readonly squeeze: Linear;
  readonly excite: Linear;

  constructor(
    layerId: number,
    weights: Weights,
    private readonly side: number,
    size: number,
  ) {
    super(layerId, weights, 'end');
    const out = 2 * size;
    this.conv = new DepthwiseConv(weights.at('reparam_conv'), out, evenWindow(side, NARROW, 1), true);
    this.squeeze = pointConv(weights, 'se.fc1', out, Math.floor(out / SQUEEZED + 0.5));
    this.excite = pointConv(weights, 'se.fc2', Math.floor(out / SQUEEZED + 0.5), out);
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    const rows = this.conv.buildGraph(graph, buildTwice(graph, hidden, 'doubled'), 'final');
    const pictures = gatherRows(graph, rows, POOLED_ROWS, 'pictures');
    const sum = new BaseOperation('Reduce', { reduceType: 'REDUCE_SUM', axis: [1] }, 'picture_sum');
    graph.addOperation(sum, [pictures], ['picture_sum']);
    const mean = addScaled(graph, 'picture_sum', 1 / this.side ** 2, 'picture_mean');
    const squeezed = activated(graph, buildLinear(graph, this.squeeze, mean, 'squeezed_out'), 'relu');
    const excited = buildLinear(graph, this.excite, squeezed, 'excited_out');
    graph.addOperation(new BaseOperation('Sigmoid', {}, 'gates'), [excited], ['gates']);
    graph.addReshape('gates', 'gates_of_pictures', [dim(0), 1, dim(1)]);
    const gated = addPair(graph, 'ELEWISE_MUL', pictures, 'gates_of_pictures', 'gated');
    graph.addReshape(gated, 'gated_rows', [dim(0, 1), dim(2)]);
    return activated(graph, 'gated_rows');
  }
}
