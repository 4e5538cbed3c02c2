import type { AtbGraph } from '../graph/atb-graph.js';
import type { GraphKind } from '../graph/graph-kind.js';
import { BaseAttention } from './base-attention.js';

/** Attention whose queries and keys are rotated by their positions, as Llama's. */
export class RotaryAttention extends BaseAttention {
  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { q, k, v } = this.buildQkvGraph(graph, input);
    const rotated = this.buildRopeGraph(graph, q, k);
    const attended = this.buildAttentionGraph(graph, kind, { ...rotated, v });
    return this.buildDenseGraph(graph, kind, attended);
  }
}

/** Attention that knows no positions: those of models with learned ones, and of layers without rotary embedding. */
export class PositionFreeAttention extends BaseAttention {
  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const attended = this.buildAttentionGraph(graph, kind, this.buildQkvGraph(graph, input));
    return this.buildDenseGraph(graph, kind, attended);
  }
}
