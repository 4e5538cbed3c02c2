import type { FloatDType } from '../../dtype.js';
import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { constantRuns, constantWeight, inF32 } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { addNarrowed } from '../formulas/casts.js';
import { gatherRows } from '../formulas/gather-rows.js';
import { addResidual } from '../formulas/residual.js';
import { SparseMLP, type SparseMLPParts } from './experts.js';

/** What makes a weight as good as 0: ATB divides numbers of f32, and does not multiply them. */
const VANISHING = 3e38;

/** What the sum of a token's experts is called. */
export const ZERO_EXPERTS_OUT = 'experts_and_zeros';

/**
 * Experts behind which some stand in the router's count that give back what they get (arXiv:2509.01322, section 2.1): a
 * token that chooses one computes less. In the products these are the first expert with a weight that vanishes.
 */
export class ZeroExpertsMLP extends SparseMLP {
  /** [experts + zero experts]: 1 for zero experts, and 0. */
  private readonly marks: TensorRef;
  /** f32, the same: what weights of experts are divided by. */
  private readonly divisors: TensorRef;
  /** [1] */
  private readonly half: TensorRef;
  private readonly dtype: FloatDType;

  /** `counts`: of experts, and of zero experts. */
  constructor(parts: SparseMLPParts, weights: Weights, [experts, zeros]: readonly [number, number]) {
    super(parts);
    const runs = (name: string, ofExperts: number, ofZeros: number): TensorRef =>
      constantRuns(weights.path(name), [
        [experts, ofExperts],
        [zeros, ofZeros],
      ]);
    this.marks = runs('zero_expert_marks', 0, 1);
    this.divisors = inF32(runs('zero_expert_divisors', 1, VANISHING));
    this.half = constantWeight(weights.path('zero_expert_half'), [1], 0.5);
    this.dtype = weights.dtype ?? 'bf16';
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.marks, this.divisors, this.half];
  }

  protected override buildRoutedGraph(graph: AtbGraph, _kind: GraphKind, input: string): string {
    const { chosen, probs } = this.router.buildGraph(graph, input);
    const elewise = (
      elewiseType: 'ELEWISE_REALDIV' | 'ELEWISE_MUL' | 'ELEWISE_GREATER',
      ins: string[],
      out: string,
    ) => graph.addOperation(new BaseOperation('Elewise', { elewiseType }, `${out}_elewise`), ins, [out]);
    const divisors = gatherRows(graph, this.divisors.name, chosen, 'chosen_divisors');
    elewise('ELEWISE_REALDIV', [probs, divisors], 'routed_probs');
    const marks = gatherRows(graph, this.marks.name, chosen, 'chosen_marks');
    elewise('ELEWISE_GREATER', [marks, this.half.name], 'chosen_zeros');
    const first = new BaseOperation('Fill', { withMask: true, value: [0] }, 'routed_experts_fill');
    graph.addOperation(first, [chosen, 'chosen_zeros'], ['routed_experts']);
    const routed = this.experts.buildGraph(graph, input, { chosen: 'routed_experts', probs: 'routed_probs' });

    const factors = addNarrowed(graph, probs, this.dtype, 'expert_factors');
    elewise('ELEWISE_MUL', [factors, marks], 'zero_factors');
    const sum = new BaseOperation('Reduce', { reduceType: 'REDUCE_SUM', axis: [1] }, 'zero_factors_sum');
    graph.addOperation(sum, ['zero_factors'], ['zero_factor']);
    graph.addReshape('zero_factor', 'zero_factor_column', [dim(0), 1]);
    elewise('ELEWISE_MUL', [input, 'zero_factor_column'], 'zero_experts_out');
    return addResidual(graph, routed, 'zero_experts_out', ZERO_EXPERTS_OUT);
  }
}
