import { CommonOpBuilderManager, type ExpertGroups } from '../../common-op-builders/index.js';
import type { FloatDType } from '../../dtype.js';
import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import { GROUP_INDICES } from '../../step-inputs/index.js';
import { requireStep } from '../../weights/require-weights.js';
import { constantWeight, inF32, rowsOf, transposed } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { buildWideLinear } from '../linear/linear-steps.js';
import { Module } from '../module.js';

/** How a family's router chooses experts. */
export interface RouterConfig {
  readonly hiddenSize: number;
  readonly numExperts: number;
  /** How many of them each token is given to. */
  readonly numExpertsPerToken: number;
  /** What makes scores of logits; `none`: the logits are scores. */
  readonly scoring: 'softmax' | 'sigmoid' | 'none';
  /** Whether the highest logits are chosen, and scored among themselves; scores of all are compared when absent. */
  readonly choosesByLogits?: boolean;
  /** Whether `chosen_experts` is there by then, and scores decide about weights alone; false when absent. */
  readonly isChosen?: boolean;
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
  /** Of a correction that is stored as a matrix; which of its rows it is, 0 when absent. */
  readonly correctionRows?: number;
  readonly correctionRow?: number;
  /** Whether the gate is [hidden, experts]; false when absent. */
  readonly transposed?: boolean;
  /** What its operations are called in graphs, where a layer has another; `router` when absent. */
  readonly inGraph?: string;
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
  private readonly inGraph: string;
  /** What the model runs in. */
  protected readonly dtype: FloatDType;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(config: RouterConfig, weights: Weights, names: RouterNames = { gate: 'gate.weight' }) {
    super();
    requireStep(`new ${new.target.name}`, config, weights);
    const { numExperts, hiddenSize, normTopkProb, sumGuard } = config;
    const { gate, bias, correction, correctionRows, correctionRow, inGraph = 'router' } = names;
    this.inGraph = inGraph;
    const kept = (name: string, shape: readonly number[]) => inF32(weights.get(name, shape));
    this.config = config;
    this.gate = names.transposed
      ? transposed(kept(gate, [hiddenSize, numExperts]))
      : kept(gate, [numExperts, hiddenSize]);
    this.bias = bias === undefined ? undefined : kept(bias, [numExperts]);
    const rows = correctionRows === undefined ? [] : [correctionRows];
    const corrections = correction === undefined ? undefined : kept(correction, [...rows, numExperts]);
    this.correction =
      corrections && correctionRow !== undefined ? rowsOf(corrections, correctionRow, 1) : corrections;
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
    return this.buildChoiceGraph(graph, this.buildLogitsGraph(graph, input));
  }

  /** `input` [tokens, hidden] -> f32 [tokens, experts]. */
  private buildLogitsGraph(graph: AtbGraph, input: string): string {
    const { inGraph: name } = this;
    const [product, logits] = [this.bias ? `${name}_product` : `${name}_logits`, `${name}_logits`];
    buildWideLinear(graph, { name, weight: this.gate, dtype: this.dtype }, input, product);
    if (this.bias) {
      // ATB adds biases to products of 16 bits only.
      const add = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_ADD' }, `${name}_bias`);
      graph.addOperation(add, [product, this.bias.name], [logits]);
    }
    return logits;
  }

  /** `logits` [tokens, experts] in f32 -> the choice of each token. */
  protected buildChoiceGraph(graph: AtbGraph, logits: string): Choice {
    const of = this.inGraph === 'router' ? '' : `${this.inGraph}_`;
    const choice = { chosen: `${of}chosen_experts`, probs: `${of}expert_probs` };
    const {
      numExpertsPerToken: topK,
      scoring,
      normTopkProb,
      sumGuard,
      routedScalingFactor = 1,
      expertGroups,
    } = this.config;
    const byScores = this.correction ? 'corrected' : 'scores';
    const { choosesByLogits, isChosen } = this.config;
    const choosesBy = isChosen ? 'nothing' : choosesByLogits ? 'logits' : byScores;
    const [sumAdded, sumBound] = this.sumGuards;
    CommonOpBuilderManager.getBuilder({
      category: 'MOE_ROUTER',
      opName: this.inGraph,
      topK,
      scoring,
      choosesBy,
      ...(expertGroups && { groups: expertGroups }),
      normalizes: normTopkProb,
      ...(normTopkProb && sumGuard && { sumGuard: 'least' in sumGuard ? 'least' : 'added' }),
      scale: routedScalingFactor,
      dtype: this.dtype,
    }).build(graph, {
      logits,
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
