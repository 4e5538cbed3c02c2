import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import { numbersBelow } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { addPair, addScaled } from '../formulas/residual.js';
import { addSoftplus } from '../formulas/softplus.js';
import { type Choice, ExpertRouter, type RouterConfig, type RouterNames } from './expert-router.js';

/** What such routers are told. */
export type RootRouterConfig = Omit<RouterConfig, 'scoring'>;

/** Scores experts by the root of the softplus of their logits. */
export class RootSoftplusRouter extends ExpertRouter {
  /** Throws what `ExpertRouter` throws. */
  constructor(config: RootRouterConfig, weights: Weights, names: RouterNames) {
    super({ ...config, scoring: 'none' }, weights, names);
  }

  protected override buildChoiceGraph(graph: AtbGraph, logits: string): Choice {
    const softplus = addSoftplus(graph, logits, 'f32', 'router_softplus');
    return super.buildChoiceGraph(graph, addRoot(graph, softplus, 'router_scores'));
  }
}

/** The same of experts that a table names for each token, whatever their scores. */
export class TableRouter extends RootSoftplusRouter {
  private readonly table: TensorRef;

  /** Throws what `ExpertRouter` throws. */
  constructor(config: RootRouterConfig & { readonly vocabSize: number }, weights: Weights, table: string) {
    super({ ...config, isChosen: true }, weights, { gate: 'gate.weight' });
    const { vocabSize, numExpertsPerToken, numExperts } = config;
    this.table = numbersBelow(weights.get(table, [vocabSize, numExpertsPerToken]), numExperts);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.table];
  }

  protected override buildChoiceGraph(graph: AtbGraph, logits: string): Choice {
    const gather = new BaseOperation('Gather', { axis: 0 }, 'router_table');
    graph.addOperation(gather, [this.table.name, 'input_ids'], ['table_experts']);
    const cast = new BaseOperation('Cast', { dtype: 'ACL_INT32' }, 'router_table_narrow');
    graph.addOperation(cast, ['table_experts'], ['chosen_experts']);
    return super.buildChoiceGraph(graph, logits);
  }
}

/**
 * `out`, the roots of `input`, f32 and not below 0. ATB has no roots and no exponential: with h = ln(x) / 2 the root is
 * sigmoid(h) / sigmoid(-h).
 */
function addRoot(graph: AtbGraph, input: string, out: string): string {
  const log = new BaseOperation('Activation', { activationType: 'ACTIVATION_LOG' }, `${out}_log`);
  graph.addOperation(log, [input], [`${out}_logs`]);
  const parts = ([0.5, -0.5] as const).map((factor, at) => {
    const half = addScaled(graph, `${out}_logs`, factor, `${out}_half_${at}`);
    graph.addOperation(
      new BaseOperation('Sigmoid', {}, `${out}_sigmoid_${at}`),
      [half],
      [`${out}_part_${at}`],
    );
    return `${out}_part_${at}`;
  });
  const [above = '', below = ''] = parts;
  return addPair(graph, 'ELEWISE_REALDIV', above, below, out);
}
