import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { NormedRotaryAttention } from '../../layers/attention-orders.js';
import { buildLinear } from '../../layers/linear-steps.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import { type NormedHeadsConfig, qwen3Norms } from '../qwen3/index.js';

/** Qwen3's attention, where each head's result may be multiplied by a sigmoid of the input. */
export class HeadGatedAttention extends NormedRotaryAttention {
  readonly gate: Linear | undefined;

  /** Throws what `BaseAttention` throws. */
  constructor(
    layerId: number,
    config: NormedHeadsConfig & { readonly gatesHeads: boolean },
    weights: Weights,
  ) {
    super(layerId, config, weights, qwen3Norms(config, weights));
    const parts = [{ name: 'gate_proj', outFeatures: config.numAttentionHeads }] as const;
    this.gate = config.gatesHeads
      ? Linear.load(weights, { parts, inFeatures: config.hiddenSize })
      : undefined;
  }

  override buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { q, k, v } = this.buildQkvGraph(graph, input);
    const placed = this.buildPlacedGraph(graph, q, k);
    const attended = this.buildAttentionGraph(graph, kind, { ...placed, v });
    const gated = this.gate ? this.buildGateGraph(graph, this.gate, input, attended) : attended;
    return this.buildDenseGraph(graph, kind, gated);
  }

  /** `attended` [tokens, heads * headDim] times a number of each head. */
  private buildGateGraph(graph: AtbGraph, gate: Linear, input: string, attended: string): string {
    const { numAttentionHeads: heads, headDim } = this.config;
    const sigmoid = new BaseOperation('Activation', { activationType: 'ACTIVATION_SIGMOID' }, 'gate_sigmoid');
    graph.addOperation(sigmoid, [buildLinear(graph, gate, input, 'gate_out')], ['gate_sigmoid']);
    graph.addReshape('gate_sigmoid', 'gate_heads', [dim(0), heads, 1]);
    graph.addReshape(attended, 'attn_heads', [dim(0), heads, headDim]);
    const multiply = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, 'gate_mul');
    graph.addOperation(multiply, ['attn_heads', 'gate_heads'], ['gated_heads']);
    graph.addReshape('gated_heads', 'gated', [dim(0), dim(1, 2)]);
    return 'gated';
  }
}
