import { type ActivationKind, CommonOpBuilderManager } from '../../common-op-builders/index.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import type { SwigluClamp } from '../../graph/ops/activation.js';
import { ExpertLinear } from '../../weights/expert-linear.js';
import { unstacked } from '../../weights/expert-stacks.js';
import { channelsOf } from '../../weights/linear.js';
import { requireStep } from '../../weights/require-weights.js';
import type { Weights } from '../../weights/weights.js';
import type { LayerStep } from '../decoder/decoder-layers.js';
import { addResidual } from '../formulas/residual.js';
import { BaseMLP, type GatedMLPOptions, type MLPConfig } from '../mlp/mlp.js';
import { Module } from '../module.js';
import { type ExpertNames, IN_MEMORY, stacksOf } from './expert-names.js';
import type { Choice, ExpertRouter } from './expert-router.js';

/** What the experts of a layer are like. */
export interface ExpertsConfig {
  readonly hiddenSize: number;
  readonly numExperts: number;
  readonly numExpertsPerToken: number;
  /** Of one expert. */
  readonly moeIntermediateSize: number;
  readonly hiddenAct: ActivationKind;
  /** Whether act(gate(x)) * up(x) goes into `down`, or act(up(x)); true when absent. */
  readonly isGated?: boolean;
  /** Whether their projections have biases; false when absent. */
  readonly hasBias?: boolean;
  /** How gates and what they gate are clamped; not at all when absent. */
  readonly clamp?: SwigluClamp | undefined;
}

/**
 * MLPs of which each token passes through a few: down(act(gate(x)) * up(x)) each, or down(act(up(x))). The checkpoint has the projections of
 * single experts (`3.gate_proj.weight`), or stacks of all of them.
 */
export class Experts extends Module {
  readonly gateUp: ExpertLinear;
  readonly down: ExpertLinear;
  private readonly config: ExpertsConfig;

  /** Throws what `ExpertLinear.load` throws. */
  constructor(
    config: ExpertsConfig,
    given: Weights,
    { gate = 'gate_proj', up = 'up_proj', down = 'down_proj', stacks, stacked = IN_MEMORY }: ExpertNames = {},
  ) {
    super();
    requireStep(`new ${new.target.name}`, config, given);
    const { hiddenSize, moeIntermediateSize: width, numExperts: experts, hasBias = false } = config;
    const { isGated = true } = config;
    this.config = config;
    const inMemory = stacksOf({ gate, up, down }, stacked, isGated ? width : undefined);
    const weights = unstacked(given, stacks ?? inMemory);
    this.gateUp = ExpertLinear.load(weights, {
      name: isGated ? 'gate_up_proj' : up,
      experts,
      of: (expert) => {
        // What they give has the order of channels that down reads.
        const rowOrder = channelsOf(weights, `${expert}.${down}`);
        const part = (name: string) => ({ name: `${expert}.${name}`, outFeatures: width, rowOrder });
        const parts = isGated ? ([part(gate), part(up)] as const) : ([part(up)] as const);
        return { parts, inFeatures: hiddenSize, hasBias };
      },
    });
    this.down = ExpertLinear.load(weights, {
      name: down,
      experts,
      of: (expert) => ({
        parts: [{ name: `${expert}.${down}`, outFeatures: hiddenSize }],
        inFeatures: width,
        hasBias,
        isInputSorted: true,
      }),
    });
  }

  /** `input` [tokens, hidden] -> the weighted sum of each token's experts, `out` [tokens, hidden]. */
  buildGraph(graph: AtbGraph, input: string, { chosen, probs }: Choice, out = 'experts_out'): string {
    const { numExpertsPerToken: topK, hiddenAct: activation, isGated = true, clamp } = this.config;
    const { gateUp, down } = this;
    CommonOpBuilderManager.getBuilder({
      category: 'MOE',
      opName: out.replace(/_out$/, ''),
      topK,
      gateUp,
      isGated,
      down,
      activation,
      clamp,
    }).build(graph, { input, chosen, probs, expertsOut: out });
    return out;
  }
}

/** The parts of a layer of experts. */
export interface SparseMLPParts {
  readonly router: ExpertRouter;
  readonly experts: Experts;
  /** What every token passes through beside its experts. */
  readonly shared?: LayerStep | undefined;
}

/** The MLP of several experts' width that all tokens pass through; undefined where there is none. */
export const sharedMLP = (
  config: MLPConfig & { readonly sharedExperts: number; readonly moeIntermediateSize: number },
  weights: Weights,
  options: Pick<GatedMLPOptions, 'clamp' | 'names'> = {},
): BaseMLP | undefined =>
  config.sharedExperts === 0
    ? undefined
    : new BaseMLP(
        { ...config, intermediateSize: config.sharedExperts * config.moeIntermediateSize },
        weights,
        options,
      );

/** The sum of a token's experts, and of what all tokens share. */
export class SparseMLP extends Module implements LayerStep {
  readonly router: ExpertRouter;
  readonly experts: Experts;
  readonly shared: LayerStep | undefined;

  constructor({ router, experts, shared }: SparseMLPParts) {
    super();
    this.router = router;
    this.experts = experts;
    this.shared = shared;
  }

  /** `input` [tokens, hidden] -> [tokens, hidden]. */
  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const routed = this.buildRoutedGraph(graph, kind, input);
    if (this.shared === undefined) return routed;
    return addResidual(graph, routed, this.shared.buildGraph(graph, kind, input), 'moe_out');
  }

  /** The sum of each token's experts: `input` [tokens, hidden] -> [tokens, hidden]. */
  protected buildRoutedGraph(graph: AtbGraph, _kind: GraphKind, input: string): string {
    return this.experts.buildGraph(graph, input, this.router.buildGraph(graph, input));
  }
}
