import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { ElewiseParam } from '../../graph/ops/elewise.js';
import { type Choice, ExpertRouter, type RouterConfig } from '../../layers/experts/expert-router.js';
import { addResidual, addScaled } from '../../layers/formulas/residual.js';
import type { Weights } from '../../weights/weights.js';

/** What is added to what takes no part: exponentials of it are 0. */
const NEVER = -1e30;

type PairType = Extract<
  ElewiseParam['elewiseType'],
  `ELEWISE_${'LESS' | 'GREATER'}` | `ELEWISE_LOGICAL_${'AND' | 'OR'}`
>;

/**
 * The best expert, and the best of the others; each weighs as much as its probability among those whose logits are near its own
 * (arXiv:2409.12136, section 3; transformers 5.24, `sparsemixer`).
 */
export class SparseMixerRouter extends ExpertRouter {
  /** Logits s below the best one m are near where (m - s) / max(|s|, m) is at most `2 * jitter`. */
  constructor(
    config: Omit<RouterConfig, 'scoring' | 'normTopkProb'>,
    weights: Weights,
    private readonly jitter: number,
  ) {
    super({ ...config, scoring: 'softmax', normTopkProb: false }, weights);
  }

  protected override buildChoiceGraph(graph: AtbGraph, logits: string): Choice {
    const [best, chosen, probs] = ['best_logits', 'chosen_experts', 'expert_probs'];
    graph.addOperation(new BaseOperation('Sort', { num: [2] }, 'router_sort'), [logits], [best, chosen]);
    const [first, second] = [0, 1].map((place) => {
      const top = `top_logit_${place}`;
      graph.addOperation(
        new BaseOperation('Slice', { offsets: [0, place], size: [-1, 1] }, top),
        [best],
        [top],
      );
      return top;
    }) as [string, string];
    const far = [first, second].map((top) => this.buildFarGraph(graph, logits, top)) as [string, string];
    // The second is chosen among those that are not better.
    const better = pair(graph, 'ELEWISE_GREATER', logits, second, 'better_logits');
    const hidden = pair(graph, 'ELEWISE_LOGICAL_OR', far[1], better, 'hidden_logits');
    const worse = pair(graph, 'ELEWISE_LESS', logits, first, 'worse_logits');
    const ofBest = lowered(graph, buildSharesGraph(graph, logits, far[0]), worse, 'shares_of_best');
    const relu = new BaseOperation('Activation', { activationType: 'ACTIVATION_RELU' }, 'share_of_best');
    graph.addOperation(relu, [ofBest], ['share_of_best']);
    const all = addResidual(graph, 'share_of_best', buildSharesGraph(graph, logits, hidden), 'all_shares');
    graph.addOperation(
      new BaseOperation('Gather', { axis: 1, batchDims: 1 }, 'router_gather'),
      [all, chosen],
      [probs],
    );
    return { chosen, probs };
  }

  /** Which logits are far below `top`. As m is at least s, max(|s|, m) is max(-s, m), and both must be too small. */
  private buildFarGraph(graph: AtbGraph, logits: string, top: string): string {
    const factor = 1 - 2 * this.jitter;
    const bound = addScaled(graph, top, factor, `${top}_bound`);
    const below = pair(graph, 'ELEWISE_LESS', logits, bound, `${top}_below`);
    const scaled = addScaled(graph, logits, factor, `${top}_scaled`);
    const under = pair(graph, 'ELEWISE_LESS', scaled, top, `${top}_under`);
    return pair(graph, 'ELEWISE_LOGICAL_AND', below, under, `${top}_far`);
  }
}

/** Probabilities of logits, but of those that `hidden` names. */
function buildSharesGraph(graph: AtbGraph, logits: string, hidden: string): string {
  const near = lowered(graph, logits, hidden, `${hidden}_near`);
  const shares = `${hidden}_shares`;
  graph.addOperation(new BaseOperation('Softmax', { axes: [1] }, shares), [near], [shares]);
  return shares;
}

/** `values` far below all others where `mask` is not 0: ATB fills and multiplies no f32. */
function lowered(graph: AtbGraph, values: string, mask: string, out: string): string {
  const wide = `${mask}_f32`;
  graph.addOperation(new BaseOperation('Cast', { dtype: 'ACL_FLOAT' }, wide), [mask], [wide]);
  return addResidual(graph, values, addScaled(graph, wide, NEVER, `${mask}_depth`), out);
}

function pair(graph: AtbGraph, elewiseType: PairType, a: string, b: string, out: string): string {
  graph.addOperation(new BaseOperation('Elewise', { elewiseType }, out), [a, b], [out]);
  return out;
}
