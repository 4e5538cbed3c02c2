import { CommonOpBuilderManager } from '../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { attendWithQueries } from '../../layers/attention/query-attention.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import { addPair, addResidual } from '../../layers/formulas/residual.js';
import { DepthwiseConv, SquareConv } from '../../layers/linear/convolution.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { Module } from '../../layers/module.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { type ConvWindow, sameWindow, squareLensOf } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { MobileBlock } from './mobile-stages.js';

/** Of all norms: the class has it so. */
const EPSILON = 1e-6;

/** Where a block stands: what it reads, rows along a side among it. */
export interface BlockPlace {
  readonly layerId: number;
  readonly side: number;
  readonly inSize: number;
}

/** The nearest multiple of eight, which is not smaller by more than a tenth. */
export function byEights(size: number): number {
  const near = Math.max(8, Math.floor((size + 4) / 8) * 8);
  return near < 0.9 * size ? near + 8 : near;
}

/** The norm of a convolution's result, named after it in graphs. */
export const convNorm = (weights: Weights, size: number, name: string): BaseRMSNorm =>
  new BaseRMSNorm(weights, size, EPSILON, undefined, `${name}_norm`);

/** Adds gelu by tanh. Returns its name. */
export function activated(graph: AtbGraph, input: string): string {
  const actOut = `${input}_act`;
  const sizes = { category: 'ACTIVATION', kind: 'gelu_tanh', isGated: false, isPack: false } as const;
  CommonOpBuilderManager.getBuilder({ ...sizes, opName: actOut }).build(graph, { input, actOut });
  return actOut;
}

/** A convolution that sees one row, which is a product, and its norm. */
export class PointConv extends Module {
  readonly conv: Linear;
  readonly norm: BaseRMSNorm;

  constructor(
    weights: Weights,
    private readonly name: string,
    inFeatures: number,
    outFeatures: number,
    [conv, norm]: readonly [string, string] = [`${name}.conv`, `${name}.bn`],
  ) {
    super();
    const parts = [{ name: conv, outFeatures, kernel: [inFeatures, 1, 1] }] as const;
    this.conv = Linear.load(weights, { parts, inFeatures });
    this.norm = convNorm(weights.at(norm), outFeatures, name);
  }

  buildGraph(graph: AtbGraph, input: string): string {
    return this.norm.buildGraph(graph, buildLinear(graph, this.conv, input, `${this.name}_out`));
  }
}

/** A convolution of each channel, and its norm. */
class ChannelConv extends Module {
  readonly conv: DepthwiseConv;
  readonly norm: BaseRMSNorm;

  constructor(
    weights: Weights,
    private readonly name: string,
    channels: number,
    window: ConvWindow,
    [conv, norm]: readonly [string, string] = ['conv', 'bn'],
  ) {
    super();
    this.conv = new DepthwiseConv(weights.at(conv), channels, window);
    this.norm = convNorm(weights.at(norm), channels, name);
  }

  buildGraph(graph: AtbGraph, input: string): string {
    return this.norm.buildGraph(graph, this.conv.buildGraph(graph, input, `${this.name}_out`));
  }
}

/** Of squares of rows a convolution widens the channels, and a product makes them fewer. */
class EdgeBlock extends BaseLayer {
  readonly expand: SquareConv;
  readonly expandNorm: BaseRMSNorm;
  readonly project: PointConv;
  private readonly skips: boolean;

  constructor(block: MobileBlock & { kind: 'er' }, { layerId, side, inSize }: BlockPlace, weights: Weights) {
    super(layerId, weights, `er_${side}`);
    const { kernel, stride, ratio, outSize } = block;
    const inner = byEights(inSize * ratio);
    const window = sameWindow(side, kernel, stride);
    this.expand = new SquareConv(weights, { name: 'conv_exp', inSize, outSize: inner, window });
    this.expandNorm = convNorm(weights.at('bn1'), inner, 'conv_exp');
    this.project = new PointConv(weights, 'conv_pwl', inner, outSize, ['conv_pwl', 'bn2']);
    this.skips = stride === 1 && inSize === outSize;
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    const normed = this.expandNorm.buildGraph(graph, this.expand.buildGraph(graph, hidden, 'conv_exp_out'));
    const projected = this.project.buildGraph(graph, activated(graph, normed));
    return this.skips ? addResidual(graph, hidden, projected, 'layer_out') : projected;
  }
}

/** Products that widen and narrow the channels, convolutions of each channel before the first and between them. */
class InvertedBlock extends BaseLayer {
  readonly start: ChannelConv | undefined;
  readonly expand: PointConv;
  readonly mid: ChannelConv | undefined;
  readonly project: PointConv;
  private readonly gamma: TensorRef;
  private readonly skips: boolean;

  constructor(block: MobileBlock & { kind: 'uir' }, { layerId, side, inSize }: BlockPlace, weights: Weights) {
    const { start, mid, stride, ratio, outSize } = block;
    super(layerId, weights, `uir_${side}_${start}_${mid}`);
    const inner = byEights(inSize * ratio);
    const first = sameWindow(side, start, mid > 0 ? 1 : stride);
    const second = sameWindow(first.outSide, mid, stride);
    this.start = start > 0 ? new ChannelConv(weights.at('dw_start'), 'dw_start', inSize, first) : undefined;
    this.expand = new PointConv(weights, 'pw_exp', inSize, inner);
    this.mid = mid > 0 ? new ChannelConv(weights.at('dw_mid'), 'dw_mid', inner, second) : undefined;
    this.project = new PointConv(weights, 'pw_proj', inner, outSize);
    this.gamma = weights.get('layer_scale.gamma', [outSize]);
    this.skips = stride === 1 && inSize === outSize;
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.gamma];
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    const started = this.start?.buildGraph(graph, hidden) ?? hidden;
    const wide = activated(graph, this.expand.buildGraph(graph, started));
    const mixed = this.mid ? activated(graph, this.mid.buildGraph(graph, wide)) : wide;
    const scaled = scaledBy(graph, this.project.buildGraph(graph, mixed), this.gamma);
    return this.skips ? addResidual(graph, hidden, scaled, 'layer_out') : scaled;
  }
}

const scaledBy = (graph: AtbGraph, input: string, gamma: TensorRef): string =>
  addPair(graph, 'ELEWISE_MUL', input, gamma.name, 'scaled');

/** Rows that keys or values are made of, where these are fewer. */
class FewerRows extends Module {
  readonly conv: ChannelConv | undefined;
  readonly proj: Linear;

  constructor(
    weights: Weights,
    private readonly name: string,
    inSize: number,
    outFeatures: number,
    window: ConvWindow | undefined,
  ) {
    super();
    this.conv = window && new ChannelConv(weights, name, inSize, window, ['down_conv', 'norm']);
    const parts = [{ name: 'proj', outFeatures, kernel: [inSize, 1, 1] }] as const;
    this.proj = Linear.load(weights, { parts, inFeatures: inSize });
  }

  buildGraph(graph: AtbGraph, input: string): string {
    const rows = this.conv?.buildGraph(graph, input) ?? input;
    return buildLinear(graph, this.proj, rows, `${this.name}_proj_out`);
  }
}

/** Attention of a square to itself, or to fewer rows of it, with one head of keys and values (arXiv:1911.02150). */
class AttendingBlock extends BaseLayer {
  readonly norm: BaseRMSNorm;
  readonly query: FewerRows;
  readonly key: FewerRows;
  readonly value: FewerRows;
  readonly dense: Linear;
  private readonly gamma: TensorRef;
  private readonly skips: boolean;
  private readonly lens: string;

  constructor(
    private readonly block: MobileBlock & { kind: 'mqa' },
    { layerId, side, inSize }: BlockPlace,
    weights: Weights,
  ) {
    const { heads, headDim, kernel, keyStride, outSize } = block;
    super(layerId, weights, `mqa_${side}_${keyStride}`);
    const window = keyStride > 1 ? sameWindow(side, kernel, keyStride) : undefined;
    const attn = weights.at('attn');
    this.norm = convNorm(weights.at('norm'), inSize, 'block');
    this.query = new FewerRows(attn.at('query'), 'query', inSize, heads * headDim, undefined);
    this.key = new FewerRows(attn.at('key'), 'key', inSize, headDim, window);
    this.value = new FewerRows(attn.at('value'), 'value', inSize, headDim, window);
    const parts = [{ name: 'proj', outFeatures: outSize, kernel: [heads * headDim, 1, 1] }] as const;
    this.dense = Linear.load(attn.at('output'), { parts, inFeatures: heads * headDim });
    this.gamma = weights.get('layer_scale.gamma', [outSize]);
    this.skips = inSize === outSize;
    this.lens = lensOf(side, window);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.gamma];
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const { heads, headDim } = this.block;
    const rows = this.norm.buildGraph(graph, hidden);
    const attended = attendWithQueries(
      graph,
      kind,
      'attention',
      { headNum: heads, kvHeadNum: 1, headDim },
      {
        q: this.query.buildGraph(graph, rows),
        k: this.key.buildGraph(graph, rows),
        v: this.value.buildGraph(graph, rows),
        seqLen: this.lens,
        attentionOut: 'attn_out',
      },
    );
    const scaled = scaledBy(graph, buildLinear(graph, this.dense, attended, 'dense_out'), this.gamma);
    return this.skips ? addResidual(graph, hidden, scaled, 'layer_out') : scaled;
  }
}

const lensOf = (side: number, window: ConvWindow | undefined): string =>
  squareLensOf(side ** 2, (window?.outSide ?? side) ** 2);

/** The block that a description is of. */
export function mobileBlock(block: MobileBlock, place: BlockPlace, weights: Weights): BaseLayer {
  if (block.kind === 'er') return new EdgeBlock(block, place, weights);
  return block.kind === 'uir'
    ? new InvertedBlock(block, place, weights)
    : new AttendingBlock(block, place, weights);
}
