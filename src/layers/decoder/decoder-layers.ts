import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import type { Weights } from '../../weights/weights.js';
import { addResidual } from '../formulas/residual.js';
import { Module } from '../module.js';
import type { NormStep } from '../norms/norms.js';
import { BaseLayer } from './base-layer.js';

/** What a layer's graph calls the sum of its input and of attention. */
export const ATTENTION_RESIDUAL = 'attn_residual';

/** Attention or an MLP: `input` [tokens, hidden] -> the tensor whose name is returned, of the same shape. */
export interface LayerStep extends Module {
  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string;
}

/** x += step(norm(x)): a layer that is attention, an MLP, experts or a mixer, and nothing else. */
export class SingleStepLayer extends BaseLayer {
  /** `variant`: see `BaseLayer`. */
  constructor(
    layerId: number,
    weights: Weights,
    readonly norm: NormStep,
    readonly step: LayerStep,
    variant?: string,
  ) {
    super(layerId, weights, variant);
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const stepped = this.step.buildGraph(graph, kind, this.norm.buildGraph(graph, hidden));
    return addResidual(graph, hidden, stepped, 'layer_out');
  }
}

/** first(x) + second(x): steps side by side in the place of one. */
export class SumOfSteps extends Module implements LayerStep {
  constructor(
    readonly first: LayerStep,
    readonly second: LayerStep,
  ) {
    super();
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const first = this.first.buildGraph(graph, kind, input);
    return addResidual(graph, first, this.second.buildGraph(graph, kind, input), 'sum_of_steps');
  }
}

/** The parts of a layer that norms what goes into attention and MLP. */
export interface PreNormParts {
  readonly inputLayernorm: NormStep;
  readonly selfAttn: LayerStep;
  readonly postAttentionLayernorm: NormStep;
  readonly mlp: LayerStep;
}

/** x += attention(norm(x)); x += mlp(norm(x)), as in Llama. */
export class PreNormLayer extends BaseLayer {
  readonly inputLayernorm: NormStep;
  readonly selfAttn: LayerStep;
  readonly postAttentionLayernorm: NormStep;
  readonly mlp: LayerStep;

  /** `variant`: see `BaseLayer`. */
  constructor(layerId: number, weights: Weights, parts: PreNormParts, variant?: string) {
    super(layerId, weights, variant);
    this.inputLayernorm = parts.inputLayernorm;
    this.selfAttn = parts.selfAttn;
    this.postAttentionLayernorm = parts.postAttentionLayernorm;
    this.mlp = parts.mlp;
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const normed = this.inputLayernorm.buildGraph(graph, hidden);
    const attended = this.selfAttn.buildGraph(graph, kind, normed);
    const residual = addResidual(graph, hidden, attended, ATTENTION_RESIDUAL);
    const normedAgain = this.postAttentionLayernorm.buildGraph(graph, residual);
    const mixed = this.mlp.buildGraph(graph, kind, normedAgain);
    return addResidual(graph, residual, mixed, 'layer_out');
  }
}

/** x = norm(x) + attention(norm(x)); x = norm(x) + mlp(norm(x)): what goes into a step is also what it is added to. */
export class NormedResidualLayer extends PreNormLayer {
  protected override buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const normed = this.inputLayernorm.buildGraph(graph, hidden);
    const attended = this.selfAttn.buildGraph(graph, kind, normed);
    const residual = addResidual(graph, normed, attended, ATTENTION_RESIDUAL);
    const normedAgain = this.postAttentionLayernorm.buildGraph(graph, residual);
    const mixed = this.mlp.buildGraph(graph, kind, normedAgain);
    return addResidual(graph, normedAgain, mixed, 'layer_out');
  }
}

/** x = norm(x + attention(x)); x = norm(x + mlp(x)) (arXiv:1706.03762, section 3.1). */
export class PostNormLayer extends PreNormLayer {
  protected override buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const attended = this.selfAttn.buildGraph(graph, kind, hidden);
    const residual = addResidual(graph, hidden, attended, ATTENTION_RESIDUAL);
    const normed = this.inputLayernorm.buildGraph(graph, residual);
    const mixed = this.mlp.buildGraph(graph, kind, normed);
    return this.postAttentionLayernorm.buildGraph(graph, addResidual(graph, normed, mixed, 'mlp_residual'));
  }
}

/** The parts of a layer whose attention and MLP read the same input. */
export interface ParallelParts {
  readonly inputLayernorm: NormStep;
  /** A norm of the MLP's own; it reads attention's when absent. */
  readonly postAttentionLayernorm?: NormStep;
  readonly selfAttn: LayerStep;
  readonly mlp: LayerStep;
}

/** x += attention(norm(x)) + mlp(norm(x)), both of the same x (arXiv:2204.02311, section 2). */
export class ParallelLayer extends BaseLayer {
  readonly inputLayernorm: NormStep;
  readonly selfAttn: LayerStep;
  readonly postAttentionLayernorm: NormStep | undefined;
  readonly mlp: LayerStep;

  /** `variant`: see `BaseLayer`. */
  constructor(layerId: number, weights: Weights, parts: ParallelParts, variant?: string) {
    super(layerId, weights, variant);
    this.inputLayernorm = parts.inputLayernorm;
    this.selfAttn = parts.selfAttn;
    this.postAttentionLayernorm = parts.postAttentionLayernorm;
    this.mlp = parts.mlp;
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const normed = this.inputLayernorm.buildGraph(graph, hidden);
    const attended = this.selfAttn.buildGraph(graph, kind, normed);
    const normedForMlp = this.postAttentionLayernorm?.buildGraph(graph, hidden) ?? normed;
    const mixed = this.mlp.buildGraph(graph, kind, normedForMlp);
    const residual = addResidual(graph, hidden, attended, ATTENTION_RESIDUAL);
    return addResidual(graph, residual, mixed, 'layer_out');
  }
}

/** The parts of a layer that norms what goes into attention and MLP, and what comes out of them. */
export interface SandwichParts {
  readonly beforeAttention: NormStep;
  readonly selfAttn: LayerStep;
  readonly afterAttention: NormStep;
  readonly beforeMlp: NormStep;
  readonly mlp: LayerStep;
  readonly afterMlp: NormStep;
}

/** A step whose result is normed. */
export class NormedStep extends Module implements LayerStep {
  constructor(
    readonly step: LayerStep,
    readonly norm: NormStep,
  ) {
    super();
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    return this.norm.buildGraph(graph, this.step.buildGraph(graph, kind, input));
  }
}

/** The parts of a layer that norms nothing but what comes out of attention and MLP. */
export type NormedResultParts = Omit<SandwichParts, 'beforeAttention' | 'beforeMlp'>;

/** x += norm(attention(x)); x += norm(mlp(x)) (arXiv:2501.00656, section 3). */
export class NormedResultLayer extends BaseLayer {
  readonly selfAttn: LayerStep;
  readonly mlp: LayerStep;

  /** `variant`: see `BaseLayer`. */
  constructor(layerId: number, weights: Weights, parts: NormedResultParts, variant?: string) {
    super(layerId, weights, variant);
    this.selfAttn = new NormedStep(parts.selfAttn, parts.afterAttention);
    this.mlp = new NormedStep(parts.mlp, parts.afterMlp);
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const attended = this.selfAttn.buildGraph(graph, kind, hidden);
    const residual = addResidual(graph, hidden, attended, ATTENTION_RESIDUAL);
    const mixed = this.mlp.buildGraph(graph, kind, residual);
    return addResidual(graph, residual, mixed, 'layer_out');
  }
}

/** x += norm(attention(norm(x))); x += norm(mlp(norm(x))), as in Gemma 2. */
export class SandwichLayer extends PreNormLayer {
  /** `variant`: see `BaseLayer`. */
  constructor(layerId: number, weights: Weights, parts: SandwichParts, variant?: string) {
    const steps = {
      inputLayernorm: parts.beforeAttention,
      selfAttn: new NormedStep(parts.selfAttn, parts.afterAttention),
      postAttentionLayernorm: parts.beforeMlp,
      mlp: new NormedStep(parts.mlp, parts.afterMlp),
    };
    super(layerId, weights, steps, variant);
  }
}
