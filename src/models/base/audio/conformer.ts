import { type ActivationKind, CommonOpBuilderManager } from '../../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation } from '../../../graph/atb-graph.js';
import type { GraphKind } from '../../../graph/graph-kind.js';
import { BaseLayer } from '../../../layers/base-layer.js';
import type { LayerStep } from '../../../layers/decoder-layers.js';
import { addGated, addSigmoid } from '../../../layers/gate.js';
import { gatherRows } from '../../../layers/gather-rows.js';
import { Module } from '../../../layers/module.js';
import { BaseRMSNorm, type NormStep } from '../../../layers/norms.js';
import { addResidual, addScaled } from '../../../layers/residual.js';
import { SOUND_CONTEXT } from '../../../step-inputs/index.js';
import { constantWeight, flattened, transposed } from '../../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../../weights/weights.js';

/** A product of rows, perhaps within bounds: `input` [rows, in] -> the tensor whose name comes back, [rows, out]. */
export interface RowProduct extends Module {
  buildGraph(graph: AtbGraph, input: string): string;
}

/** Makes a product: `name` names its results in graphs, `key` is that of its weights below `weights`. */
export type MakesProduct = (
  name: string,
  weights: Weights,
  key: string,
  sizes: { readonly inFeatures: number; readonly outFeatures: number },
) => RowProduct;

/** What layers of a conformer are told. */
export interface ConformerSizes {
  readonly hiddenSize: number;
  readonly hiddenAct: ActivationKind;
  /** Rows that a convolution sees. */
  readonly taps: number;
  /** What counts of an MLP's result. */
  readonly share: number;
  readonly rmsNormEps: number;
}

/** Of norms for which files have none. */
export const CONFORMER_EPSILON = 1e-6;

/** Adds f(input) as `out`, and returns it. */
function addActivation(graph: AtbGraph, kind: ActivationKind, input: string, out: string): string {
  const params = { kind, isGated: false, isPack: false } as const;
  CommonOpBuilderManager.getBuilder({ category: 'ACTIVATION', opName: `${out}_op`, ...params }).build(graph, {
    input,
    actOut: out,
  });
  return out;
}

/** x + share * norm(down(act(up(norm(x))))): half of an MLP, of which a layer has two. */
export class HalfStep extends Module implements LayerStep {
  readonly before: NormStep;
  readonly up: RowProduct;
  readonly down: RowProduct;
  readonly after: NormStep;

  /** `name` tells the two apart in graphs. */
  constructor(
    private readonly name: string,
    private readonly sizes: ConformerSizes,
    weights: Weights,
    product: MakesProduct,
  ) {
    super();
    const { hiddenSize } = sizes;
    const norm = (key: string) =>
      new BaseRMSNorm(weights.at(key), hiddenSize, CONFORMER_EPSILON, undefined, `${name}_${key}`);
    const inner = 4 * hiddenSize;
    this.before = norm('pre_layer_norm');
    this.up = product(`${name}_up`, weights, 'ffw_layer_1', { inFeatures: hiddenSize, outFeatures: inner });
    this.down = product(`${name}_down`, weights, 'ffw_layer_2', {
      inFeatures: inner,
      outFeatures: hiddenSize,
    });
    this.after = norm('post_layer_norm');
  }

  buildGraph(graph: AtbGraph, _kind: GraphKind, input: string): string {
    const { name } = this;
    const up = this.up.buildGraph(graph, this.before.buildGraph(graph, input));
    const down = this.down.buildGraph(graph, addActivation(graph, this.sizes.hiddenAct, up, `${name}_act`));
    const part = addScaled(graph, this.after.buildGraph(graph, down), this.sizes.share, `${name}_share`);
    return addResidual(graph, input, part, `${name}_residual`);
  }
}

/**
 * x + end(act(norm(conv(glu(start(norm(x))))))): each channel's convolution over a row and those before it, whose weight is
 * [channels, 1, taps].
 */
export class LightConv extends Module implements LayerStep {
  readonly before: NormStep;
  readonly start: RowProduct;
  readonly after: NormStep;
  readonly end: RowProduct;
  private readonly weight: TensorRef;
  private readonly zeros: TensorRef;

  constructor(
    private readonly sizes: ConformerSizes,
    weights: Weights,
    product: MakesProduct,
  ) {
    super();
    const { hiddenSize, taps, rmsNormEps } = sizes;
    const norm = (key: string) =>
      new BaseRMSNorm(weights.at(key), hiddenSize, rmsNormEps, undefined, `conv_${key}`);
    this.before = norm('pre_layer_norm');
    this.start = product('conv_start', weights, 'linear_start', {
      ...{ inFeatures: hiddenSize, outFeatures: 2 * hiddenSize },
    });
    const conv = weights.at('depthwise_conv1d');
    this.weight = transposed(flattened(conv.get('weight', [hiddenSize, 1, taps])));
    this.zeros = constantWeight(conv.path('row_before'), [1, hiddenSize], 0);
    this.after = norm('conv_norm');
    this.end = product('conv_end', weights, 'linear_end', {
      inFeatures: hiddenSize,
      outFeatures: hiddenSize,
    });
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.weight, this.zeros];
  }

  buildGraph(graph: AtbGraph, _kind: GraphKind, input: string): string {
    const started = this.start.buildGraph(graph, this.before.buildGraph(graph, input));
    const halves = ['conv_value', 'conv_gate'];
    graph.addOperation(
      new BaseOperation('Split', { splitDim: 1, splitNum: 2 }, 'conv_split'),
      [started],
      halves,
    );
    const gated = addGated(graph, 'conv_value', addSigmoid(graph, 'conv_gate'));
    const normed = this.after.buildGraph(graph, this.buildConvGraph(graph, gated));
    const acted = addActivation(graph, this.sizes.hiddenAct, normed, 'conv_act');
    return addResidual(graph, input, this.end.buildGraph(graph, acted), 'conv_residual');
  }

  /** [rows, channels] -> `conv_out`, of the same shape. */
  private buildConvGraph(graph: AtbGraph, rows: string): string {
    const concat = new BaseOperation('Concat', { concatDim: 0 }, 'conv_padded');
    graph.addOperation(concat, [rows, this.zeros.name], ['conv_padded']);
    const seen = gatherRows(graph, 'conv_padded', SOUND_CONTEXT.taps, 'conv_seen');
    const multiply = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, 'conv_mul');
    graph.addOperation(multiply, [seen, this.weight.name], ['conv_products']);
    const sum = new BaseOperation('Reduce', { reduceType: 'REDUCE_SUM', axis: [1] }, 'conv_sum');
    graph.addOperation(sum, ['conv_products'], ['conv_out']);
    return 'conv_out';
  }
}

/** The parts of a layer of a conformer. */
export interface ConformerParts {
  readonly first: HalfStep;
  readonly beforeAttention: NormStep;
  readonly attention: LayerStep;
  readonly afterAttention: NormStep;
  readonly conv: LightConv;
  readonly second: HalfStep;
  readonly norm: NormStep;
}

/** Half an MLP, attention, a convolution, half an MLP, a norm (arXiv:2005.08100, section 2.1). */
export class ConformerLayer extends BaseLayer {
  readonly steps: readonly Module[];

  constructor(
    layerId: number,
    weights: Weights,
    private readonly parts: ConformerParts,
  ) {
    super(layerId, weights);
    this.steps = Object.values(parts);
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const { first, beforeAttention, attention, afterAttention, conv, second, norm } = this.parts;
    const half = first.buildGraph(graph, kind, hidden);
    const attended = attention.buildGraph(graph, kind, beforeAttention.buildGraph(graph, half));
    const residual = addResidual(graph, half, afterAttention.buildGraph(graph, attended), 'attn_residual');
    const whole = second.buildGraph(graph, kind, conv.buildGraph(graph, kind, residual));
    return norm.buildGraph(graph, whole);
  }
}
