import { CommonOpBuilderManager } from '../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { RopeConfig } from '../../step-inputs/index.js';
import { SMOOTHING_BIAS } from '../../weights/quantization.js';
import { requireWeights } from '../../weights/require-weights.js';
import { constantWeight, withRowOrder } from '../../weights/weight-changes.js';
import { concatRows, type TensorRef, type Weights } from '../../weights/weights.js';
import { requireMember } from '../complete.js';
import { rotaryOrder } from '../linear/projections.js';
import { Module } from '../module.js';

/** What stands where others have a norm: `input` [..., size] -> the tensor whose name is returned, of the same shape. */
export interface NormStep extends Module {
  buildGraph(graph: AtbGraph, input: string): string;
}

/** Nothing, where other layers have a norm. */
export class NoNorm extends Module implements NormStep {
  buildGraph(_graph: AtbGraph, input: string): string {
    return input;
  }
}

/** A norm over the last axis: statistics in f32, the result in the model's dtype. */
export abstract class BaseNorm extends Module implements NormStep {
  /** Names the norm's operation and, with `_out` behind it, its result: `input_layernorm`. */
  readonly name: string;

  constructor(
    weights: Weights,
    readonly epsilon: number,
    name?: string,
  ) {
    super();
    requireWeights(`new ${new.target.name}`, weights);
    requireMember(this, 'buildGraph', 'function');
    this.name = name ?? weights.name;
  }

  /** `input` [..., size] -> the tensor whose name is returned, of the same shape. */
  abstract buildGraph(graph: AtbGraph, input: string): string;
}

/** What ATB's RmsNorm is made of. */
export interface RMSNormParts {
  readonly name: string;
  readonly epsilon: number;
  readonly weight: TensorRef;
  /** What is added to the weight before it multiplies; 0 when absent. */
  readonly weightOffset?: 0 | 1;
}

/** Adds an RMSNorm of `input` over its last axis. Returns `normOut`. */
export function addRMSNorm(
  graph: AtbGraph,
  { name, epsilon, weight, weightOffset = 0 }: RMSNormParts,
  input: string,
  normOut = `${name}_out`,
): string {
  CommonOpBuilderManager.getBuilder({
    ...{ category: 'NORM', opName: name, normType: 'RmsNorm', enableAddNorm: false },
    ...{ epsilon, weight: weight.name, weightOffset },
  }).build(graph, { input, normOut });
  return normOut;
}

/** x / rms(x) * weight (arXiv:1910.07467). A bias of which smoothed checkpoints tell is added. */
export class BaseRMSNorm extends BaseNorm {
  readonly weight: TensorRef;
  readonly bias: TensorRef | undefined;
  /** What is added to the weight before it multiplies. */
  protected readonly weightOffset: 0 | 1 = 0;

  /**
   * `rowOrder`: in which order the input has what the weight is for, where rows of a projection were reordered at load.
   * `name`: see `BaseNorm`; the cursor's own when absent.
   * Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH.
   */
  constructor(weights: Weights, size: number, epsilon: number, rowOrder?: Int32Array, name?: string) {
    super(weights, epsilon, name);
    this.weight = withRowOrder(weights.get('weight', [size]), rowOrder);
    const bias = weights.getOptional(SMOOTHING_BIAS, [size]);
    this.bias = bias && withRowOrder(bias, rowOrder);
  }

  override getWeights(): TensorRef[] {
    return this.bias ? [this.weight, this.bias] : [this.weight];
  }

  buildGraph(graph: AtbGraph, input: string, normOut = `${this.name}_out`): string {
    const { name, epsilon, weight, weightOffset } = this;
    const unbiased = this.bias ? `${normOut}_unbiased` : normOut;
    const normed = addRMSNorm(graph, { name, epsilon, weight, weightOffset }, input, unbiased);
    if (this.bias) {
      const add = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_ADD' }, `${this.name}_bias`);
      graph.addOperation(add, [normed, this.bias.name], [normOut]);
    }
    return normOut;
  }
}

/** x / rms(x) * (1 + weight), as Gemma has it: weights are stored as distances from one. */
export class OffsetRMSNorm extends BaseRMSNorm {
  protected override readonly weightOffset = 1;
}

/** x / rms(x) * factor, the same for all numbers. */
export class ConstantRMSNorm extends BaseNorm {
  private readonly factors: TensorRef;

  constructor(weights: Weights, size: number, epsilon: number, factor: number) {
    super(weights, epsilon);
    this.factors = constantWeight(weights.path('factors'), [size], factor);
  }

  override getWeights(): TensorRef[] {
    return [this.factors];
  }

  buildGraph(graph: AtbGraph, input: string, normOut = `${this.name}_out`): string {
    const { name, epsilon, factors: weight } = this;
    return addRMSNorm(graph, { name, epsilon, weight }, input, normOut);
  }
}

/** x / rms(x), without a weight. */
export class UnscaledRMSNorm extends ConstantRMSNorm {
  constructor(weights: Weights, size: number, epsilon: number) {
    super(weights, size, epsilon, 1);
  }
}

/** What a norm of heads needs to know of them. */
export interface NormedHeads {
  readonly heads: number;
  readonly headDim: number;
  /** Of queries and keys that are rotated afterwards. */
  readonly rope?: RopeConfig | undefined;
}

/** A norm over the last of three axes, whose weight is in the order of rows that were reordered at load. */
type NormOfHead = new (
  weights: Weights,
  size: number,
  epsilon: number,
  rowOrder?: Int32Array,
) => BaseNorm & { buildGraph(graph: AtbGraph, input: string, normOut: string): string };

/** A norm of each head of a projection: `input` [tokens, heads * headDim] -> the same shape, normalised head by head. */
export class HeadNorm extends Module {
  private readonly norm: InstanceType<NormOfHead>;

  /** `Norm` is over the elements of one head. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH. */
  constructor(
    weights: Weights,
    private readonly sizes: NormedHeads,
    epsilon: number,
    Norm: NormOfHead = BaseRMSNorm,
  ) {
    super();
    this.norm = new Norm(weights, sizes.headDim, epsilon, rotaryOrder(1, sizes.rope));
  }

  buildGraph(graph: AtbGraph, input: string): string {
    const { name } = this.norm;
    const inHeads = `${name}_heads`;
    graph.addReshape(input, inHeads, [dim(0), this.sizes.heads, this.sizes.headDim]);
    const normed = this.norm.buildGraph(graph, inHeads, `${name}_heads_out`);
    graph.addReshape(normed, `${name}_out`, [dim(0), dim(1, 2)]);
    return `${name}_out`;
  }
}

/** What ATB's LayerNorm is made of: it always multiplies, and always adds. */
export interface LayerNormParts {
  readonly name: string;
  readonly epsilon: number;
  readonly weight: TensorRef;
  readonly bias: TensorRef;
  /** Of the input, the axis over which it norms. */
  readonly axis: number;
}

/** Adds a LayerNorm of `input`. Returns `normOut`. */
export function addLayerNorm(
  graph: AtbGraph,
  { name, epsilon, weight, bias, axis }: LayerNormParts,
  input: string,
  normOut = `${name}_out`,
): string {
  CommonOpBuilderManager.getBuilder({
    ...{ category: 'NORM', opName: name, normType: 'LayerNorm', enableAddNorm: false },
    ...{ epsilon, weight: weight.name, bias: bias.name, axis },
  }).build(graph, { input, normOut });
  return normOut;
}

/** (x - mean) / deviation * weight + bias (arXiv:1607.06450). ATB always adds a bias: without one, zeros are added. */
export class BaseLayerNorm extends BaseNorm {
  readonly weight: TensorRef;
  readonly bias: TensorRef;
  /** Of the input, the axis over which it norms. */
  protected readonly axis: number = 1;

  /**
   * `hasBias`: true when absent. `name`: in graphs, where the checkpoint's is not its layer's only one. `rowOrder`: see `BaseRMSNorm`. Throws
   * WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH.
   */
  constructor(
    weights: Weights,
    size: number,
    epsilon: number,
    {
      hasBias = true,
      name,
      rowOrder,
    }: {
      readonly hasBias?: boolean;
      readonly name?: string | undefined;
      readonly rowOrder?: Int32Array | undefined;
    } = {},
  ) {
    super(weights, epsilon, name);
    this.weight = withRowOrder(weights.get('weight', [size]), rowOrder);
    this.bias = hasBias
      ? withRowOrder(weights.get('bias', [size]), rowOrder)
      : constantWeight(weights.path('bias'), [size], 0);
  }

  override getWeights(): TensorRef[] {
    return [this.weight, this.bias];
  }

  buildGraph(graph: AtbGraph, input: string, normOut?: string): string {
    const { name, epsilon, weight, bias, axis } = this;
    return addLayerNorm(graph, { name, epsilon, weight, bias, axis }, input, normOut);
  }
}

/** The LayerNorm that all heads of a projection share, for `HeadNorm`. */
export class LayerNormOfHead extends BaseLayerNorm {
  protected override readonly axis = 2;

  constructor(weights: Weights, size: number, epsilon: number, rowOrder?: Int32Array) {
    super(weights, size, epsilon, { rowOrder });
  }
}

/**
 * LayerNorm without bias of each head of a projection, each with a weight of its own: `input` [tokens, heads * headDim] ->
 * the same shape. ATB's norm has one weight for all heads, so this one's is multiplied by afterwards.
 */
export class PerHeadLayerNorm extends Module {
  private readonly name: string;
  private readonly weight: TensorRef;
  private readonly ones: TensorRef;
  private readonly zeros: TensorRef;

  /** `ofHead` [headDim]: the weight of one head. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH. */
  constructor(
    weights: Weights,
    private readonly sizes: NormedHeads,
    private readonly epsilon: number,
    ofHead: (head: number) => TensorRef,
  ) {
    super();
    const { heads, headDim, rope } = sizes;
    const order = rotaryOrder(1, rope);
    const [first, ...others] = Array.from({ length: heads }, (_, head) => withRowOrder(ofHead(head), order));
    if (first === undefined) throw new RangeError('a norm of heads needs at least one head');
    this.name = weights.name;
    this.weight = concatRows(weights.path('weight'), [first, ...others]);
    this.ones = constantWeight(weights.path('ones'), [headDim], 1);
    this.zeros = constantWeight(weights.path('zeros'), [headDim], 0);
  }

  override getWeights(): TensorRef[] {
    return [this.weight, this.ones, this.zeros];
  }

  buildGraph(graph: AtbGraph, input: string): string {
    const { name, epsilon, ones: weight, zeros: bias } = this;
    graph.addReshape(input, `${name}_heads`, [dim(0), this.sizes.heads, this.sizes.headDim]);
    addLayerNorm(graph, { name, epsilon, weight, bias, axis: 2 }, `${name}_heads`, `${name}_heads_out`);
    graph.addReshape(`${name}_heads_out`, `${name}_unscaled`, [dim(0), dim(1, 2)]);
    const multiply = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, `${name}_mul`);
    graph.addOperation(multiply, [`${name}_unscaled`, this.weight.name], [`${name}_out`]);
    return `${name}_out`;
  }
}
