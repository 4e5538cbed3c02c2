import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { QUERY_SCALES } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import type { AttentionConfig } from '../attention-config.js';
import type { NormStep } from '../norms/norms.js';
import { type AttentionOptions, BaseAttention, type Qkv } from './base-attention.js';

/** Attention whose queries and keys are rotated by their positions, as Llama's. */
export class RotaryAttention extends BaseAttention {
  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { q, k, v } = this.buildQkvGraph(graph, input);
    const rotated = this.buildRopeGraph(graph, q, k);
    const attended = this.buildAttentionGraph(graph, kind, { ...rotated, v });
    return this.buildDenseGraph(graph, kind, attended);
  }
}

/** The same, but queries are multiplied by a number of their positions, so that far tokens are still told apart. */
export class ScaledRotaryAttention extends RotaryAttention {
  protected override readonly queryScales = QUERY_SCALES;
}

/** Attention that knows no positions: those of models with learned ones, and of layers without rotary embedding. */
export class PositionFreeAttention extends BaseAttention {
  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const attended = this.buildAttentionGraph(graph, kind, this.buildQkvGraph(graph, input));
    return this.buildDenseGraph(graph, kind, attended);
  }
}

/** The same, but queries are multiplied by a number of their positions. */
export class ScaledPositionFreeAttention extends PositionFreeAttention {
  protected override readonly queryScales = QUERY_SCALES;
}

/** The norms of queries and keys: [tokens, heads * headDim] each. */
export interface ProjectionNorms {
  readonly q: NormStep;
  readonly k: NormStep;
}

/** The norms of queries and keys, each of which `norm` makes for so many heads. */
export const projectionNorms = (
  config: Pick<AttentionConfig, 'numAttentionHeads' | 'numKeyValueHeads'>,
  norm: (of: 'q' | 'k', heads: number) => NormStep,
): ProjectionNorms => ({ q: norm('q', config.numAttentionHeads), k: norm('k', config.numKeyValueHeads) });

/** Attention that knows no positions, and whose queries and keys are normalised in models that have norms for them. */
export class NormedAttention extends BaseAttention {
  readonly qNorm: NormStep | undefined;
  readonly kNorm: NormStep | undefined;

  /** Throws what `BaseAttention` throws. */
  constructor(
    layerId: number,
    config: AttentionConfig,
    weights: Weights,
    norms: ProjectionNorms | undefined,
    options?: AttentionOptions,
  ) {
    super(layerId, config, weights, options);
    this.qNorm = norms?.q;
    this.kNorm = norms?.k;
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { q, k, v } = this.buildQkvGraph(graph, input);
    const placed = this.buildPlacedGraph(graph, q, k);
    const attended = this.buildAttentionGraph(graph, kind, { ...placed, v });
    return this.buildDenseGraph(graph, kind, attended);
  }

  /** Queries and keys as attention reads them. */
  protected buildPlacedGraph(graph: AtbGraph, q: string, k: string): Omit<Qkv, 'v'> {
    const normed = this.buildNormGraph(graph, q, k);
    return this.buildPositionGraph(graph, normed.q, normed.k);
  }

  protected buildNormGraph(graph: AtbGraph, q: string, k: string): Omit<Qkv, 'v'> {
    return { q: this.qNorm?.buildGraph(graph, q) ?? q, k: this.kNorm?.buildGraph(graph, k) ?? k };
  }

  protected buildPositionGraph(_graph: AtbGraph, q: string, k: string): Omit<Qkv, 'v'> {
    return { q, k };
  }
}

/** The same, but queries and keys are rotated by their positions afterwards. */
export class NormedRotaryAttention extends NormedAttention {
  protected override buildPositionGraph(graph: AtbGraph, q: string, k: string): Omit<Qkv, 'v'> {
    return this.buildRopeGraph(graph, q, k);
  }
}

/** The same, but they are rotated before. */
export class RotaryNormedAttention extends NormedAttention {
  protected override buildPlacedGraph(graph: AtbGraph, q: string, k: string): Omit<Qkv, 'v'> {
    const rotated = this.buildRopeGraph(graph, q, k);
    return this.buildNormGraph(graph, rotated.q, rotated.k);
  }
}
