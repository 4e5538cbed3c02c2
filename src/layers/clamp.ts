import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';
import { constantWeight } from '../weights/weight-changes.js';
import type { TensorRef, Weights } from '../weights/weights.js';
import { Module } from './module.js';

/** Keeps numbers within [-bound, bound]. ATB compares with tensors, [1] each. */
export class Clamp extends Module {
  private readonly bounds: readonly (readonly [type: 'ELEWISE_GREATER' | 'ELEWISE_LESS', value: number])[];
  private readonly limits: readonly TensorRef[];

  /** `name` is that of the bounds within `weights`. */
  constructor(weights: Weights, name: string, bound: number) {
    super();
    this.bounds = [
      ['ELEWISE_GREATER', bound],
      ['ELEWISE_LESS', -bound],
    ];
    this.limits = this.bounds.map(([, value], at) =>
      constantWeight(weights.path(`${name}_${at}`), [1], value),
    );
  }

  override getWeights(): TensorRef[] {
    return [...this.limits];
  }

  /** Adds `out`, of the input's shape, and returns it. */
  buildGraph(graph: AtbGraph, input: string, out: string): string {
    return this.bounds.reduce((from, [elewiseType, value], at) => {
      const to = at === this.bounds.length - 1 ? out : `${out}_below`;
      const beyond = `${to}_beyond`;
      const limit = this.limits[at]?.name ?? '';
      graph.addOperation(
        new BaseOperation('Elewise', { elewiseType }, `${to}_compare`),
        [from, limit],
        [beyond],
      );
      const fill = new BaseOperation('Fill', { withMask: true, value: [value] }, `${to}_fill`);
      graph.addOperation(fill, [from, beyond], [to]);
      return to;
    }, input);
  }
}
