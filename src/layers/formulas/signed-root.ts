import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import { constantWeight, inF32 } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { Module } from '../module.js';
import { addPair, addResidual, addScaled } from './residual.js';

/**
 * x / sqrt(max(|x|, least)): the root of x's size, with its sign. ATB has neither roots nor exponentials: with
 * z = ln(max(|x|, least)) / 2 it is x / (sigmoid(z) / sigmoid(-z)), and max(a, b) is max(a - b, 0) + b. All f32.
 */
export class SignedRoot extends Module {
  /** What is subtracted from sizes, and added again: -least and least, [1] each. */
  private readonly limits: readonly [TensorRef, TensorRef];

  /** `name` is that of the bound within `weights`, and of tensors in graphs. */
  constructor(
    weights: Weights,
    private readonly name: string,
    least: number,
  ) {
    super();
    const limit = (end: string, value: number) =>
      inF32(constantWeight(weights.path(`${name}_${end}`), [1], value));
    this.limits = [limit('minus_least', -least), limit('least', least)];
  }

  override getWeights(): TensorRef[] {
    return [...this.limits];
  }

  /** `input` f32, of any shape -> the tensor whose name is returned, of the same shape. */
  buildGraph(graph: AtbGraph, input: string): string {
    const { name } = this;
    const [minusLeast, least] = this.limits;
    const activation = (activationType: 'ACTIVATION_RELU' | 'ACTIVATION_LOG', of: string, out: string) => {
      graph.addOperation(new BaseOperation('Activation', { activationType }, `${out}_act`), [of], [out]);
      return out;
    };
    const above = activation('ACTIVATION_RELU', input, `${name}_above`);
    const negative = addScaled(graph, input, -1, `${name}_negative`);
    const below = activation('ACTIVATION_RELU', negative, `${name}_below`);
    const size = addResidual(graph, above, below, `${name}_size`);
    const rest = addResidual(graph, size, minusLeast.name, `${name}_rest`);
    const beyond = activation('ACTIVATION_RELU', rest, `${name}_beyond`);
    const bounded = addResidual(graph, beyond, least.name, `${name}_bounded`);
    const log = activation('ACTIVATION_LOG', bounded, `${name}_log`);
    const [half, minusHalf] = [0.5, -0.5].map((factor, at) => {
      const share = `${name}_share_${at}`;
      const z = addScaled(graph, log, factor, `${name}_half_${at}`);
      graph.addOperation(new BaseOperation('Sigmoid', {}, `${share}_op`), [z], [share]);
      return share;
    }) as [string, string];
    const root = addPair(graph, 'ELEWISE_REALDIV', half, minusHalf, `${name}_size_root`);
    return addPair(graph, 'ELEWISE_REALDIV', input, root, `${name}_root`);
  }
}
