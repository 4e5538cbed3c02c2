import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { Linear } from '../../weights/linear.js';
import type { LinearPart } from '../../weights/linear-part.js';
import type { Weights } from '../../weights/weights.js';
import type { AttentionConfig } from '../attention-config.js';
import { addGated, addGatedHeads, addSigmoid } from '../linear/gate.js';
import { buildLinear } from '../linear/linear-steps.js';
import { NormedAttention, type ProjectionNorms } from './attention-orders.js';
import type { AttentionOptions, Qkv } from './base-attention.js';

/** The projection of a gate. `perHead`: whether it has one number for each head; for each of its elements when absent. */
export interface GatePart extends Omit<LinearPart, 'outFeatures'> {
  readonly perHead?: boolean;
}

/** Attention whose result is multiplied by a gate, sigmoids of a projection of its input. */
export abstract class GatedAttention extends NormedAttention {
  readonly gate: Linear;
  private readonly perHead: boolean;

  /** `gate` [heads * headDim, hidden], or [heads, hidden]. Throws what `BaseAttention` throws. */
  constructor(
    layerId: number,
    config: AttentionConfig,
    weights: Weights,
    norms: ProjectionNorms | undefined,
    { perHead = false, ...gate }: GatePart,
    options?: AttentionOptions,
  ) {
    super(layerId, config, weights, norms, options);
    const { numAttentionHeads: heads, headDim } = config;
    this.perHead = perHead;
    this.gate = Linear.load(weights, {
      name: 'attention_gate',
      parts: [{ ...gate, outFeatures: perHead ? heads : heads * headDim }],
      inFeatures: config.hiddenSize,
    });
  }

  override buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { q, k, v } = this.buildQkvGraph(graph, input);
    const placed = this.buildPlacedGraph(graph, q, k);
    const attended = this.buildAttentionGraph(graph, kind, { ...placed, v });
    const gate = this.buildGateGraph(graph, buildLinear(graph, this.gate, input, 'gate_out'));
    const gated = this.perHead
      ? addGatedHeads(graph, attended, gate, this.config)
      : addGated(graph, attended, gate);
    return this.buildDenseGraph(graph, kind, gated);
  }

  /** What attention is multiplied by, of the shape of `projected`. */
  protected buildGateGraph(graph: AtbGraph, projected: string): string {
    return addSigmoid(graph, projected);
  }
}

/** The same, with queries and keys that are rotated by their positions. */
export class GatedRotaryAttention extends GatedAttention {
  protected override buildPositionGraph(graph: AtbGraph, q: string, k: string): Omit<Qkv, 'v'> {
    return this.buildRopeGraph(graph, q, k);
  }
}
