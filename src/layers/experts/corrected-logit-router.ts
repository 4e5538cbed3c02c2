import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import { inF32 } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { addResidual } from '../formulas/residual.js';
import { type Choice, ExpertRouter, type RouterConfig } from './expert-router.js';

/**
 * Chooses the experts of the highest logits to which a correction is added; what scores them are their logits alone.
 * Others correct scores: sigmoids of high logits are all close to 1, so that the same correction chooses otherwise.
 */
export class CorrectedLogitRouter extends ExpertRouter {
  private readonly logitCorrection: TensorRef;
  private readonly topK: number;

  /** `correction` [experts] lies where it will in a checkpoint. Throws what `ExpertRouter` throws. */
  constructor(config: RouterConfig, weights: Weights, correction: TensorRef) {
    super({ ...config, isChosen: true }, weights);
    this.topK = config.numExpertsPerToken;
    this.logitCorrection = inF32(correction);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.logitCorrection];
  }

  protected override buildChoiceGraph(graph: AtbGraph, logits: string): Choice {
    const corrected = addResidual(graph, logits, this.logitCorrection.name, 'router_corrected');
    const sort = new BaseOperation('Sort', { num: [this.topK] }, 'router_sort');
    graph.addOperation(sort, [corrected], ['router_top_corrected', 'chosen_experts']);
    return super.buildChoiceGraph(graph, logits);
  }
}
