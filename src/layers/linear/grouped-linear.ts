import { multiplyHeads } from '../../common-op-builders/index.js';
import { type AtbGraph, dim } from '../../graph/atb-graph.js';
import { Linear } from '../../weights/linear.js';
import { consecutiveRows } from '../../weights/row-orders.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { allBeside } from '../formulas/split.js';
import { Module } from '../module.js';
import { addColumns } from './gate.js';
import { buildLinear } from './linear-steps.js';

/** Groups of neighbouring numbers, each of which is projected alone. */
export interface GroupedSizes {
  readonly groups: number;
  /** Of each group. */
  readonly outFeatures: number;
  readonly inFeatures: number;
}

/**
 * A projection of each group of numbers, [groups * outFeatures, inFeatures] in the files: one product of floats, or,
 * where the files have small numbers with scales, a linear of each group.
 */
export class GroupedLinear extends Module {
  readonly linears: readonly Linear[];
  private readonly floats: TensorRef | undefined;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(
    weights: Weights,
    name: string,
    private readonly sizes: GroupedSizes,
  ) {
    super();
    const { groups, outFeatures, inFeatures } = sizes;
    if (weights.quantOf(name, 'projection')?.rows) {
      this.linears = consecutiveRows(Array(groups).fill(outFeatures)).map((rows, group) =>
        Linear.load(weights, {
          name: `${name}.${group}`,
          parts: [{ name, outFeatures, rows, hasBias: false }],
          inFeatures,
        }),
      );
      return;
    }
    this.linears = [];
    const whole = weights.get(`${name}.weight`, [groups * outFeatures, inFeatures]);
    this.floats = { ...whole, shape: [groups, outFeatures, inFeatures] };
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), ...(this.floats ? [this.floats] : [])];
  }

  /** `input` [tokens, heads, size], all groups' -> [tokens, groups * outFeatures]. Returns its name. */
  buildGraph(graph: AtbGraph, input: string, out: string): string {
    const { groups, inFeatures } = this.sizes;
    if (this.floats) {
      graph.addReshape(input, 'grouped', [dim(0), groups, inFeatures]);
      const ups = multiplyHeads(graph, 'group_up', 'grouped', this.floats.name);
      graph.addReshape(ups, out, [dim(0), dim(1, 2)]);
      return out;
    }
    graph.addReshape(input, 'ungrouped', [dim(0), dim(1, 2)]);
    const ups = this.linears.map((linear, group) => {
      const own = addColumns(graph, 'ungrouped', group * inFeatures, inFeatures, `${out}_${group}_in`);
      return buildLinear(graph, linear, own, `${out}_${group}_out`);
    });
    return allBeside(graph, ups, out);
  }
}
