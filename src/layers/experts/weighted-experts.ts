import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { constantWeight, inF32 } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { addNarrowed } from '../formulas/casts.js';
import { addResidual, addScaled } from '../formulas/residual.js';
import { ExpertRouter, type RouterConfig } from './expert-router.js';
import { SparseMLP, type SparseMLPParts } from './experts.js';

/** The expert of the highest logit, whose weight is the sigmoid of that logit. */
export class HighestLogitRouter extends ExpertRouter {
  /** Throws what `ExpertRouter` throws. */
  constructor(
    sizes: Pick<RouterConfig, 'hiddenSize' | 'numExperts'>,
    weights: Weights,
    names?: { readonly gate: string },
  ) {
    super(
      {
        ...{ ...sizes, numExpertsPerToken: 1, choosesByLogits: true },
        ...{ scoring: 'sigmoid', normTopkProb: false },
      },
      weights,
      names,
    );
  }

  /** `input` [tokens, hidden] times `probs` [tokens, 1]: `expert_input`, of the input's shape. */
  buildWeightedGraph(graph: AtbGraph, input: string, probs: string): string {
    const factors = addNarrowed(graph, probs, this.dtype, 'expert_factors');
    const multiply = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, 'expert_input_weigh');
    graph.addOperation(multiply, [input, factors], ['expert_input']);
    return 'expert_input';
  }
}

/** Experts that read a token times its weight, and whose results count whole, as Llama 4's. */
export class WeightedTokenExperts extends SparseMLP {
  declare readonly router: HighestLogitRouter;
  /** f32 [1] */
  private readonly one: TensorRef;

  constructor(parts: SparseMLPParts & { readonly router: HighestLogitRouter }, weights: Weights) {
    super(parts);
    this.one = inF32(constantWeight(weights.path('one'), [1], 1));
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.one];
  }

  protected override buildRoutedGraph(graph: AtbGraph, _kind: GraphKind, input: string): string {
    const { chosen, probs } = this.router.buildGraph(graph, input);
    const weighted = this.router.buildWeightedGraph(graph, input, probs);
    // A one for each token: what experts give was weighted before.
    const zeros = addScaled(graph, probs, 0, 'expert_zeros');
    const ones = addResidual(graph, zeros, this.one.name, 'expert_ones');
    return this.experts.buildGraph(graph, weighted, { chosen, probs: ones });
  }
}
