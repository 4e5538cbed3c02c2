import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { constantWeight, inF32, times } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { ATTENTION_RESIDUAL, type LayerStep } from '../decoder/decoder-layers.js';
import { gatherRows } from '../formulas/gather-rows.js';
import { addResidual } from '../formulas/residual.js';
import { Module } from '../module.js';
import { addRMSNorm, BaseRMSNorm } from '../norms/norms.js';
import { type Choice, ExpertRouter, type RouterConfig } from './expert-router.js';
import { Experts, type ExpertsConfig } from './experts.js';

/** What experts beside an MLP are told. */
export type ExpertsBesideConfig = Pick<RouterConfig, 'hiddenSize' | 'numExperts' | 'numExpertsPerToken'> &
  ExpertsConfig & { readonly rmsNormEps: number };

/** A router that norms what it reads, and multiplies the weights of experts by a number of each. */
class ScaledExpertRouter extends ExpertRouter {
  private readonly scale: TensorRef;
  private readonly perExpert: TensorRef;
  private readonly one: TensorRef;

  constructor(
    private readonly sizes: ExpertsBesideConfig,
    weights: Weights,
  ) {
    super({ ...sizes, scoring: 'softmax', normTopkProb: true }, weights, { gate: 'proj.weight' });
    const { hiddenSize, numExperts } = sizes;
    this.scale = times(weights.get('scale', [hiddenSize]), 1 / Math.sqrt(hiddenSize));
    this.perExpert = inF32(weights.get('per_expert_scale', [numExperts]));
    this.one = inF32(constantWeight(weights.path('one'), [1], 1));
  }

  override getWeights(): TensorRef[] {
    return [this.scale, ...super.getWeights(), this.perExpert, this.one];
  }

  override buildGraph(graph: AtbGraph, input: string): Choice {
    const { rmsNormEps: epsilon } = this.sizes;
    const normed = addRMSNorm(graph, { name: 'router_norm', epsilon, weight: this.scale }, input);
    const { chosen, probs } = super.buildGraph(graph, normed);
    const scales = gatherRows(graph, this.perExpert.name, chosen, 'expert_scales');
    // ATB divides numbers of f32, and does not multiply them.
    const divide = (name: string, a: string, b: string, out: string): void =>
      graph.addOperation(
        new BaseOperation('Elewise', { elewiseType: 'ELEWISE_REALDIV' }, name),
        [a, b],
        [out],
      );
    divide('expert_scale_invert', this.one.name, scales, 'expert_divisors');
    divide('expert_scale', probs, 'expert_divisors', 'scaled_expert_probs');
    return { chosen, probs: 'scaled_expert_probs' };
  }
}

/** An MLP, and beside it experts of what attention left; the results of both are normed. */
export class ExpertsBesideMLP extends Module implements LayerStep {
  readonly afterMlp: BaseRMSNorm;
  readonly router: ScaledExpertRouter;
  readonly beforeExperts: BaseRMSNorm;
  readonly experts: Experts;
  readonly afterExperts: BaseRMSNorm;

  /** `layer` is the layer's cursor. */
  constructor(
    config: ExpertsBesideConfig,
    layer: Weights,
    readonly mlp: LayerStep,
  ) {
    super();
    const norm = (name: string) => new BaseRMSNorm(layer.at(name), config.hiddenSize, config.rmsNormEps);
    this.afterMlp = norm('post_feedforward_layernorm_1');
    this.router = new ScaledExpertRouter(config, layer.at('router'));
    this.beforeExperts = norm('pre_feedforward_layernorm_2');
    this.experts = new Experts(config, layer.at('experts'));
    this.afterExperts = norm('post_feedforward_layernorm_2');
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const dense = this.afterMlp.buildGraph(graph, this.mlp.buildGraph(graph, kind, input));
    const choice = this.router.buildGraph(graph, ATTENTION_RESIDUAL);
    const normed = this.beforeExperts.buildGraph(graph, ATTENTION_RESIDUAL);
    const routed = this.afterExperts.buildGraph(graph, this.experts.buildGraph(graph, normed, choice));
    return addResidual(graph, dense, routed, 'mlp_sum');
  }
}
