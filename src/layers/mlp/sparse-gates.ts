import { CommonOpBuilderManager } from '../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import { constantWeight } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { Floor } from '../formulas/clamp.js';
import { normalQuantile } from '../formulas/normal-quantile.js';
import { addScaled } from '../formulas/residual.js';
import { addLayerNorm } from '../norms/norms.js';
import { BaseMLP, type MLPConfig } from './mlp.js';

/** Added to variances, where ATB wants something. */
const EPSILON = 1e-12;

/**
 * An MLP whose gates are mostly closed: down(act(max(gate - mean - z deviation, 0)) * up), mean and deviation being
 * those of a token's gates, z such that a share of normally distributed ones is closed (arXiv:2506.06644).
 */
export class SparseGateMLP extends BaseMLP {
  private readonly floor: Floor;
  /**
   * Weights and biases of two norms: gates less their mean, by their deviation; the first ones are small, the others
   * less z.
   */
  private readonly unit: TensorRef;
  private readonly zero: TensorRef;
  private readonly one: TensorRef;
  private readonly cutoff: TensorRef;
  /** By what sums of products with the small ones are multiplied, for the deviation. */
  private readonly meanScale: number;

  /** `share` of closed gates, between 0 and 1. Throws what `BaseMLP` throws. */
  constructor(config: MLPConfig, weights: Weights, share: number) {
    super(config, weights);
    const { intermediateSize: size } = config;
    // About the root of the size: sums of products stay within f16, whose bits a power of two leaves alone.
    const root = 2 ** Math.round(Math.log2(size) / 2);
    this.meanScale = root / size;
    const constant = (name: string, value: number) => constantWeight(weights.path(name), [size], value);
    this.unit = constant('gate_unit', 1 / root);
    this.zero = constant('gate_zero', 0);
    this.one = constant('gate_one', 1);
    this.cutoff = constant('gate_cutoff', -normalQuantile(share));
    this.floor = new Floor(weights, 'gate_floor', 0);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.unit, this.zero, this.one, this.cutoff];
  }

  override buildActivationGraph(graph: AtbGraph, gateUp: string): string {
    graph.addOperation(
      new BaseOperation('Split', { splitDim: 1, splitNum: 2 }, 'gates_split'),
      [gateUp],
      ['gates', 'up'],
    );
    CommonOpBuilderManager.getBuilder({
      category: 'ACTIVATION',
      opName: 'activation',
      kind: this.hiddenAct,
      isGated: true,
      isPack: false,
    }).build(graph, { gate: this.buildOpenGraph(graph, 'gates'), up: 'up', actOut: 'mul_out' });
    return 'mul_out';
  }

  /** `gates` [tokens, intermediate] -> what is left of them, the same shape. */
  private buildOpenGraph(graph: AtbGraph, gates: string): string {
    const norm = (name: string, weight: TensorRef, bias: TensorRef) =>
      addLayerNorm(graph, { name, epsilon: EPSILON, weight, bias, axis: 1 }, gates);
    const multiply = (name: string, inputs: [string, string]) =>
      graph.addOperation(
        new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, `${name}_mul`),
        inputs,
        [name],
      );
    // The mean of x (x - mean) / deviation is the deviation.
    multiply('gate_products', [gates, norm('unit_gates', this.unit, this.zero)]);
    const sum = new BaseOperation('Reduce', { reduceType: 'REDUCE_SUM', axis: [1] }, 'gate_sum');
    graph.addOperation(sum, ['gate_products'], ['gate_sums']);
    addScaled(graph, 'gate_sums', this.meanScale, 'gate_deviations');
    graph.addReshape('gate_deviations', 'gate_deviation_column', [dim(0), 1]);
    const open = this.floor.buildGraph(graph, norm('cut_gates', this.one, this.cutoff), 'open_gates');
    multiply('scaled_gates', [open, 'gate_deviation_column']);
    return 'scaled_gates';
  }
}
