import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import { constantWeight } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { Module } from '../module.js';

/** Keeps numbers from being less than a bound. */
export class Floor extends Module {
  private readonly limit: TensorRef;

  /** `name` is that of the bound within `weights`. */
  constructor(
    weights: Weights,
    name: string,
    private readonly bound: number,
  ) {
    super();
    this.limit = constantWeight(weights.path(name), [1], bound);
  }

  override getWeights(): TensorRef[] {
    return [this.limit];
  }

  /** Adds `out`, of the input's shape, and returns it. */
  buildGraph(graph: AtbGraph, input: string, out: string): string {
    return addBound(graph, 'ELEWISE_LESS', { input, limit: this.limit.name, bound: this.bound }, out);
  }
}

/** Adds `out`: what is beyond a limit, [1], becomes the bound. Returns `out`. */
export function addBound(
  graph: AtbGraph,
  elewiseType: 'ELEWISE_GREATER' | 'ELEWISE_LESS',
  { input, limit, bound }: { readonly input: string; readonly limit: string; readonly bound: number },
  out: string,
): string {
  const beyond = `${out}_beyond`;
  const compare = new BaseOperation('Elewise', { elewiseType }, `${out}_compare`);
  graph.addOperation(compare, [input, limit], [beyond]);
  const fill = new BaseOperation('Fill', { withMask: true, value: [bound] }, `${out}_fill`);
  graph.addOperation(fill, [input, beyond], [out]);
  return out;
}

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
      const limit = this.limits[at]?.name ?? '';
      return addBound(graph, elewiseType, { input: from, limit, bound: value }, to);
    }, input);
  }
}
