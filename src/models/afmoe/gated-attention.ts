import { CommonOpBuilderManager } from '../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { NormedAttention } from '../../layers/attention-orders.js';
import type { Qkv } from '../../layers/base-attention.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import { type NormedHeadsConfig, qwen3Norms } from '../qwen3/index.js';

/**
 * Attention with norms of queries and keys, what it gives being multiplied by sigmoids of its input. Layers without a window
 * know no positions.
 */
export class GatedAttention extends NormedAttention {
  readonly gate: Linear;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(layerId: number, config: NormedHeadsConfig, weights: Weights) {
    super(layerId, config, weights, qwen3Norms(config, weights));
    this.gate = Linear.load(weights, {
      parts: [{ name: 'gate_proj', outFeatures: config.numAttentionHeads * config.headDim }],
      inFeatures: config.hiddenSize,
    });
  }

  override buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { q, k, v } = this.buildQkvGraph(graph, input);
    const placed = this.buildPlacedGraph(graph, q, k);
    const attended = this.buildAttentionGraph(graph, kind, { ...placed, v });
    return this.buildDenseGraph(graph, kind, this.buildGateGraph(graph, input, attended));
  }

  protected override buildPositionGraph(graph: AtbGraph, q: string, k: string): Omit<Qkv, 'v'> {
    return this.windowSize === undefined ? { q, k } : this.buildRopeGraph(graph, q, k);
  }

  /** `attended` [tokens, heads * headDim] times the sigmoids of the gate. */
  private buildGateGraph(graph: AtbGraph, input: string, attended: string): string {
    CommonOpBuilderManager.getBuilder({ category: 'LINEAR', opName: 'gate', linear: this.gate }).build(
      graph,
      {
        input,
        linearOut: 'gate_out',
      },
    );
    const sigmoid = new BaseOperation('Activation', { activationType: 'ACTIVATION_SIGMOID' }, 'gate_sigmoid');
    graph.addOperation(sigmoid, ['gate_out'], ['gate_sigmoid']);
    const multiply = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, 'gate_mul');
    graph.addOperation(multiply, [attended, 'gate_sigmoid'], ['gated']);
    return 'gated';
  }
}
