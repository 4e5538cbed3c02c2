import type { AtbGraph } from '../graph/atb-graph.js';
import type { GraphKind } from '../graph/graph-kind.js';
import { Linear } from '../weights/linear.js';
import type { LinearPart } from '../weights/linear-part.js';
import type { Weights } from '../weights/weights.js';
import { NormedAttention, type ProjectionNorms } from './attention-orders.js';
import type { AttentionConfig, AttentionOptions } from './base-attention.js';
import { addSigmoidGate } from './gate.js';
import { buildLinear } from './linear-steps.js';

/** Attention whose result is multiplied by sigmoids of a projection of its input, number by number. */
export abstract class GatedAttention extends NormedAttention {
  readonly gate: Linear;

  /** `gate` [heads * headDim, hidden]. Throws what `BaseAttention` throws. */
  constructor(
    layerId: number,
    config: AttentionConfig,
    weights: Weights,
    norms: ProjectionNorms,
    gate: Omit<LinearPart, 'outFeatures'>,
    options?: AttentionOptions,
  ) {
    super(layerId, config, weights, norms, options);
    const outFeatures = config.numAttentionHeads * config.headDim;
    this.gate = Linear.load(weights, {
      name: 'attention_gate',
      parts: [{ ...gate, outFeatures }],
      inFeatures: config.hiddenSize,
    });
  }

  override buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { q, k, v } = this.buildQkvGraph(graph, input);
    const placed = this.buildPlacedGraph(graph, q, k);
    const attended = this.buildAttentionGraph(graph, kind, { ...placed, v });
    return this.buildDenseGraph(graph, kind, this.buildGateGraph(graph, input, attended));
  }

  /** `attended` [tokens, heads * headDim] times the sigmoids of the gate. */
  private buildGateGraph(graph: AtbGraph, input: string, attended: string): string {
    const gate = buildLinear(graph, this.gate, input, 'gate_out');
    return addSigmoidGate(graph, attended, gate);
  }
}
