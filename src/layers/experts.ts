import {
  type ActivationKind,
  CommonOpBuilderManager,
  type ExpertGroups,
} from '../common-op-builders/index.js';
import type { FloatDType } from '../dtype.js';
import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';
import type { GraphKind } from '../graph/graph-kind.js';
import type { SwigluClamp } from '../graph/ops/activation.js';
import { GROUP_INDICES } from '../step-inputs/index.js';
import { ExpertLinear } from '../weights/expert-linear.js';
import { unstacked } from '../weights/expert-stacks.js';
import { channelsOf } from '../weights/linear.js';
import { constantWeight, inF32 } from '../weights/weight-changes.js';
import type { TensorRef, Weights } from '../weights/weights.js';
import type { LayerStep } from './decoder-layers.js';
import { type ExpertNames, IN_MEMORY, stacksOf } from './expert-names.js';
import { BaseMLP, type MLPConfig } from './mlp.js';
import { Module } from './module.js';
import { addResidual } from './residual.js';

/** How a family's router chooses experts. */
export interface RouterConfig {
  readonly hiddenSize: number;
  readonly numExperts: number;
  /** How many of them each token is given to. */
  readonly numExpertsPerToken: number;
  readonly scoring: 'softmax' | 'sigmoid';
  /** Whether the weights of a token are divided by their sum. */
  readonly normTopkProb: boolean;
  /** What keeps that sum, which may be 0, above 0: a number that is added, or that it is at least. */
  readonly sumGuard?: { readonly added: number } | { readonly least: number };
  /** What weights are multiplied by; 1 when absent. */
  readonly routedScalingFactor?: number;
  /** Absent where experts stand in no groups. */
  readonly expertGroups?: ExpertGroups | undefined;
}

/** The checkpoint's names of a router's tensors. */
export interface RouterNames {
  readonly gate: string;
  /** What is added to the logits; absent where nothing is. */
  readonly bias?: string;
  /** What is added to scores for the choice alone; absent where nothing is. */
  readonly correction?: string;
  /** Of a correction that is stored as a matrix. */
  readonly correctionRows?: number;
}

/** What a router gives, by the names in the graph: [tokens, numExpertsPerToken] both. */
export interface Choice {
  /** i32 */
  readonly chosen: string;
  /** f32 */
  readonly probs: string;
}

/**
 * Which experts a token is given to, and with which weights. It computes in f32 whatever the model runs in: experts whose
 * scores are close must not change places by rounding. Of equal scores the expert with the lower number is chosen.
 */
export class ExpertRouter extends Module {
  private readonly gate: TensorRef;
  private readonly bias: TensorRef | undefined;
  private readonly correction: TensorRef | undefined;
  /** Numbers that ATB wants as tensors, [1] each: what is added to sums, or taken from them and given back. */
  private readonly sumGuards: readonly TensorRef[];
  private readonly config: RouterConfig;
  private readonly dtype: FloatDType;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    config: RouterConfig,
    weights: Weights,
    { gate, bias, correction, correctionRows }: RouterNames = { gate: 'gate.weight' },
  ) {
    super();
    const { numExperts, hiddenSize, normTopkProb, sumGuard } = config;
    const kept = (name: string, shape: readonly number[]) => inF32(weights.get(name, shape));
    this.config = config;
    this.gate = kept(gate, [numExperts, hiddenSize]);
    this.bias = bias === undefined ? undefined : kept(bias, [numExperts]);
    const rows = correctionRows === undefined ? [] : [correctionRows];
    this.correction = correction === undefined ? undefined : kept(correction, [...rows, numExperts]);
    this.sumGuards = normTopkProb
      ? guardNumbers(sumGuard).map((value, at) =>
          inF32(constantWeight(weights.path(`sum_guard_${at}`), [1], value)),
        )
      : [];
    this.dtype = weights.dtype ?? 'bf16';
  }

  override getWeights(): TensorRef[] {
    return [this.gate, this.bias, this.correction, ...this.sumGuards].filter((ref) => ref !== undefined);
  }

  /** `input` [tokens, hidden] -> the choice of each token. */
  buildGraph(graph: AtbGraph, input: string): Choice {
    const choice = { chosen: 'chosen_experts', probs: 'expert_probs' };
    const {
      numExpertsPerToken: topK,
      scoring,
      normTopkProb,
      sumGuard,
      routedScalingFactor = 1,
      expertGroups,
    } = this.config;
    const [sumAdded, sumBound] = this.sumGuards;
    let wide = input;
    if (this.dtype !== 'f32') {
      wide = 'router_input';
      const cast = { elewiseType: 'ELEWISE_CAST', outTensorType: 'ACL_FLOAT' } as const;
      graph.addOperation(new BaseOperation('Elewise', cast, 'router_input_widen'), [input], [wide]);
    }
    const product = this.bias ? 'router_product' : 'router_logits';
    const linear = new BaseOperation('Linear', { transposeB: true, hasBias: false }, 'router');
    graph.addOperation(linear, [wide, this.gate.name], [product]);
    if (this.bias) {
      // ATB adds biases to products of 16 bits only.
      const add = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_ADD' }, 'router_bias');
      graph.addOperation(add, [product, this.bias.name], ['router_logits']);
    }
    CommonOpBuilderManager.getBuilder({
      category: 'MOE_ROUTER',
      opName: 'router',
      topK,
      scoring,
      isCorrected: this.correction !== undefined,
      ...(expertGroups && { groups: expertGroups }),
      normalizes: normTopkProb,
      ...(normTopkProb && sumGuard && { sumGuard: 'least' in sumGuard ? 'least' : 'added' }),
      scale: routedScalingFactor,
      dtype: this.dtype,
    }).build(graph, {
      logits: 'router_logits',
      ...(this.correction && { correction: this.correction.name }),
      groupIndices: GROUP_INDICES,
      ...(sumAdded && { sumAdded: sumAdded.name }),
      ...(sumBound && { sumBound: sumBound.name }),
      chosenOut: choice.chosen,
      probsOut: choice.probs,
    });
    return choice;
  }
}

const guardNumbers = (guard: RouterConfig['sumGuard'] = { added: 0 }): readonly number[] =>
  'least' in guard ? [-guard.least, guard.least] : [guard.added].filter((added) => added !== 0);

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
  readonly clamp?: SwigluClamp;
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
      opName: 'experts',
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
): BaseMLP | undefined =>
  config.sharedExperts === 0
    ? undefined
    : new BaseMLP(
        { ...config, intermediateSize: config.sharedExperts * config.moeIntermediateSize },
        weights,
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
