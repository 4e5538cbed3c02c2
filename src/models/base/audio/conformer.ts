import { type ActivationKind, CommonOpBuilderManager } from '../../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation } from '../../../graph/atb-graph.js';
import type { GraphKind } from '../../../graph/graph-kind.js';
import { BaseLayer } from '../../../layers/decoder/base-layer.js';
import type { LayerStep } from '../../../layers/decoder/decoder-layers.js';
import { gatherRows } from '../../../layers/formulas/gather-rows.js';
import { addResidual, addScaled } from '../../../layers/formulas/residual.js';
import { addGated, addSigmoid } from '../../../layers/linear/gate.js';
import { buildLinear } from '../../../layers/linear/linear-steps.js';
import { Module } from '../../../layers/module.js';
import { BaseRMSNorm, type NormStep } from '../../../layers/norms/norms.js';
import { SOUND_CONTEXT } from '../../../step-inputs/index.js';
import { Linear } from '../../../weights/linear.js';
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

/** A product without bounds, with a bias where that is said, perhaps by a convolution over single rows. */
export class PlainProduct extends Module implements RowProduct {
  readonly linear: Linear;

  constructor(
    private readonly name: string,
    weights: Weights,
    key: string,
    { inFeatures, outFeatures }: { readonly inFeatures: number; readonly outFeatures: number },
    { hasBias = false, isConv = false }: { readonly hasBias?: boolean; readonly isConv?: boolean } = {},
  ) {
    super();
    const part = { name: key, outFeatures, ...(isConv && { kernel: [inFeatures, 1] }) };
    this.linear = Linear.load(weights, { name, parts: [part], inFeatures, hasBias });
  }

  buildGraph(graph: AtbGraph, input: string): string {
    return buildLinear(graph, this.linear, input, `${this.name}_out`);
  }
}

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
export function addActivation(graph: AtbGraph, kind: ActivationKind, input: string, out: string): string {
  const params = { kind, isGated: false, isPack: false } as const;
  CommonOpBuilderManager.getBuilder({ category: 'ACTIVATION', opName: `${out}_op`, ...params }).build(graph, {
    input,
    actOut: out,
  });
  return out;
}

/** What half an MLP is made of. */
export interface HalfStepParts {
  readonly before: NormStep;
  readonly up: RowProduct;
  readonly down: RowProduct;
  readonly after: NormStep;
}

/** x + share * after(down(act(up(before(x))))): half of an MLP, of which a layer has two. */
export class HalfStep extends Module implements LayerStep {
  readonly parts: readonly Module[];

  /** `name` tells the two apart in graphs. */
  constructor(
    private readonly name: string,
    private readonly sizes: Pick<ConformerSizes, 'hiddenAct' | 'share'>,
    private readonly steps: HalfStepParts,
  ) {
    super();
    const { before, up, down, after } = steps;
    this.parts = [before, up, down, after];
  }

  buildGraph(graph: AtbGraph, _kind: GraphKind, input: string): string {
    const { name } = this;
    const { before, up, down, after } = this.steps;
    const { hiddenAct, share } = this.sizes;
    const inner = up.buildGraph(graph, before.buildGraph(graph, input));
    const result = down.buildGraph(graph, addActivation(graph, hiddenAct, inner, `${name}_act`));
    const part = addScaled(graph, after.buildGraph(graph, result), share, `${name}_share`);
    return addResidual(graph, input, part, `${name}_residual`);
  }
}

/** Half an MLP, four times as wide as its input, between two norms, as the Universal Speech Model has it. */
export function normedHalfStep(
  name: string,
  sizes: ConformerSizes,
  weights: Weights,
  product: MakesProduct,
): HalfStep {
  const { hiddenSize } = sizes;
  const inner = 4 * hiddenSize;
  const norm = (key: string) =>
    new BaseRMSNorm(weights.at(key), hiddenSize, CONFORMER_EPSILON, undefined, `${name}_${key}`);
  return new HalfStep(name, sizes, {
    before: norm('pre_layer_norm'),
    up: product(`${name}_up`, weights, 'ffw_layer_1', { inFeatures: hiddenSize, outFeatures: inner }),
    down: product(`${name}_down`, weights, 'ffw_layer_2', { inFeatures: inner, outFeatures: hiddenSize }),
    after: norm('post_layer_norm'),
  });
}

/** What the convolution of a layer is made of. */
export interface LightConvParts {
  readonly before: NormStep;
  /** Gives twice as many channels as the convolution has: what goes into it, and gates of it. */
  readonly start: RowProduct;
  readonly after: NormStep;
  readonly end: RowProduct;
  /** Of each channel over rows: [rows, channels] -> the same shape. */
  readonly conv: RowProduct;
}

/** x + end(act(after(conv(glu(start(before(x))))))). */
export class LightConv extends Module implements LayerStep {
  readonly parts: readonly Module[];

  constructor(
    private readonly hiddenAct: ActivationKind,
    private readonly steps: LightConvParts,
  ) {
    super();
    const { before, start, after, end, conv } = steps;
    this.parts = [before, start, after, end, conv];
  }

  buildGraph(graph: AtbGraph, _kind: GraphKind, input: string): string {
    const { before, start, after, end, conv } = this.steps;
    const started = start.buildGraph(graph, before.buildGraph(graph, input));
    const halves = ['conv_value', 'conv_gate'];
    graph.addOperation(
      new BaseOperation('Split', { splitDim: 1, splitNum: 2 }, 'conv_split'),
      [started],
      halves,
    );
    const gated = addGated(graph, 'conv_value', addSigmoid(graph, 'conv_gate'));
    const normed = after.buildGraph(graph, conv.buildGraph(graph, gated));
    const acted = addActivation(graph, this.hiddenAct, normed, 'conv_act');
    return addResidual(graph, input, end.buildGraph(graph, acted), 'conv_residual');
  }
}

/** Each channel's convolution over a row and those before it, whose weight is [channels, 1, taps]. */
class CausalTaps extends Module implements RowProduct {
  private readonly weight: TensorRef;
  private readonly zeros: TensorRef;

  constructor(weights: Weights, { hiddenSize, taps }: ConformerSizes) {
    super();
    this.weight = transposed(flattened(weights.get('weight', [hiddenSize, 1, taps])));
    this.zeros = constantWeight(weights.path('row_before'), [1, hiddenSize], 0);
  }

  override getWeights(): TensorRef[] {
    return [this.weight, this.zeros];
  }

  /** [rows, channels] -> `conv_out`, of the same shape. */
  buildGraph(graph: AtbGraph, rows: string): string {
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

/** The convolution of a layer of the Universal Speech Model, with as many channels as rows have numbers. */
export function causalConv(sizes: ConformerSizes, weights: Weights, product: MakesProduct): LightConv {
  const { hiddenSize, rmsNormEps, hiddenAct } = sizes;
  const norm = (key: string) =>
    new BaseRMSNorm(weights.at(key), hiddenSize, rmsNormEps, undefined, `conv_${key}`);
  return new LightConv(hiddenAct, {
    before: norm('pre_layer_norm'),
    start: product('conv_start', weights, 'linear_start', {
      ...{ inFeatures: hiddenSize, outFeatures: 2 * hiddenSize },
    }),
    after: norm('conv_norm'),
    end: product('conv_end', weights, 'linear_end', { inFeatures: hiddenSize, outFeatures: hiddenSize }),
    conv: new CausalTaps(weights.at('depthwise_conv1d'), sizes),
  });
}

/** The parts of a layer of a conformer. */
export interface ConformerParts {
  readonly first: LayerStep;
  readonly beforeAttention: NormStep;
  readonly attention: LayerStep;
  readonly afterAttention: NormStep;
  readonly conv: LayerStep;
  readonly second: LayerStep;
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
