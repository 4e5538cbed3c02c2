import type { FloatDType } from '../../dtype.js';
import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import { POSITION_NUMBERS, ROTARY_FREQUENCIES, type RopeConfig } from '../../step-inputs/index.js';
import { inF32 } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { addNarrowed } from '../formulas/casts.js';
import { addPair, addScaled } from '../formulas/residual.js';
import { Module } from '../module.js';
import { ROTARY_ROWS } from './rotary-rows.js';

/**
 * A rotary embedding whose frequencies have learned factors: e^alpha of each. So its rows are computed in the graph, in
 * f32: ATB has no exponential, and e^a is sigmoid(a) / sigmoid(-a).
 */
export class LearnedRotary extends Module {
  private readonly alpha: TensorRef;
  private readonly dtype: FloatDType;

  /** `weights` is the cursor of `alpha` [rotaryDim / 2]. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH. */
  constructor(
    private readonly rope: RopeConfig,
    weights: Weights,
  ) {
    super();
    this.alpha = inF32(weights.get('alpha', [rope.rotaryDim / 2]));
    this.dtype = weights.dtype ?? 'bf16';
  }

  override getWeights(): TensorRef[] {
    return [this.alpha];
  }

  /** Adds the rows of cosines and sines that layers read, [tokens, rotaryDim]. */
  buildGraph(graph: AtbGraph): void {
    const { scaling } = this.rope;
    const factor = scaling.type === 'yarn' ? scaling.attentionFactor : 1;
    const angles = this.buildAnglesGraph(graph);
    for (const [name, elewiseType] of [
      ['cos', 'ELEWISE_COS'],
      ['sin', 'ELEWISE_SIN'],
    ] as const) {
      const [half, whole] = [`${name}_half`, `${name}_rows`];
      graph.addOperation(new BaseOperation('Elewise', { elewiseType }, half), [angles], [half]);
      const narrow = addNarrowed(graph, addScaled(graph, half, factor, `${half}_scaled`), this.dtype, whole);
      const concat = new BaseOperation('Concat', { concatDim: 1 }, `${name}_concat`);
      graph.addOperation(concat, [narrow, narrow], [ROTARY_ROWS[name]]);
    }
  }

  /**
   * Positions times frequencies times what is learned: -> f32 [tokens, rotaryDim / 2]. ATB multiplies numbers of 16
   * bits alone, and divides others.
   */
  private buildAnglesGraph(graph: AtbGraph): string {
    const negative = addScaled(graph, this.alpha.name, -1, 'rotary_negative');
    const [above, below] = [this.alpha.name, negative].map((of, at) => {
      const out = `rotary_sigmoid_${at}`;
      graph.addOperation(new BaseOperation('Sigmoid', {}, out), [of], [out]);
      return out;
    }) as [string, string];
    const divisors = addPair(graph, 'ELEWISE_REALDIV', below, above, 'rotary_divisors');
    const waves = addPair(graph, 'ELEWISE_REALDIV', divisors, ROTARY_FREQUENCIES, 'rotary_waves');
    return addPair(graph, 'ELEWISE_REALDIV', POSITION_NUMBERS, waves, 'rotary_angles');
  }
}
