import { type ActivationKind, CommonOpBuilderManager } from '../../common-op-builders/index.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import { Linear } from '../../weights/linear.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { addPair, addResidual } from '../formulas/residual.js';
import { buildLinear } from '../linear/linear-steps.js';
import { Module } from '../module.js';
import type { MLPConfig } from './mlp.js';

/** What stands where others have a norm: x * weight + bias, each of them [size]. */
export class Affine extends Module {
  private readonly weight: TensorRef;
  private readonly bias: TensorRef;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH. */
  constructor(weights: Weights, size: number) {
    super();
    this.weight = weights.get('weight', [size]);
    this.bias = weights.get('bias', [size]);
  }

  override getWeights(): TensorRef[] {
    return [this.weight, this.bias];
  }

  /** Returns `out`. */
  buildGraph(graph: AtbGraph, input: string, out: string): string {
    const scaled = addPair(graph, 'ELEWISE_MUL', input, this.weight.name, `${out}_scaled`);
    return addResidual(graph, scaled, this.bias.name, out);
  }
}

/** A product, what it is added to if anything, and what stands for a norm of the sum: [tokens, in] -> [tokens, out]. */
export class AffineLinear extends Module {
  readonly dense: Linear;
  readonly affine: Affine;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(weights: Weights, inFeatures: number, outFeatures: number) {
    super();
    this.dense = biasedLinear(weights, 'dense', inFeatures, outFeatures);
    this.affine = new Affine(weights.at('LayerNorm'), outFeatures);
  }

  /** Returns `out`. */
  buildGraph(graph: AtbGraph, input: string, out: string, residual?: string): string {
    const product = buildLinear(graph, this.dense, input, `${out}_dense_out`);
    const sum = residual === undefined ? product : addResidual(graph, product, residual, `${out}_sum`);
    return this.affine.buildGraph(graph, sum, out);
  }
}

/** A product with a bias. */
export const biasedLinear = (
  weights: Weights,
  name: string,
  inFeatures: number,
  outFeatures: number,
): Linear => Linear.load(weights, { parts: [{ name, outFeatures }], inFeatures, hasBias: true });

/** An MLP to whose result its input is added, with such a scale behind it. */
export class AffineMLP extends Module {
  readonly up: Linear;
  readonly down: AffineLinear;
  private readonly act: ActivationKind;

  /** `weights` has `intermediate` and `output`. */
  constructor({ hiddenSize, intermediateSize, hiddenAct }: Omit<MLPConfig, 'mlpBias'>, weights: Weights) {
    super();
    this.up = biasedLinear(weights, 'intermediate.dense', hiddenSize, intermediateSize);
    this.down = new AffineLinear(weights.at('output'), intermediateSize, hiddenSize);
    this.act = hiddenAct;
  }

  /** `input` [tokens, hidden] -> `out`, the same shape. */
  buildGraph(graph: AtbGraph, input: string, out: string): string {
    const up = buildLinear(graph, this.up, input, `${out}_up_out`);
    const act = { category: 'ACTIVATION', opName: `${out}_act`, kind: this.act } as const;
    CommonOpBuilderManager.getBuilder({ ...act, isGated: false, isPack: false }).build(graph, {
      input: up,
      actOut: `${out}_act_out`,
    });
    return this.down.buildGraph(graph, `${out}_act_out`, out, input);
  }
}
