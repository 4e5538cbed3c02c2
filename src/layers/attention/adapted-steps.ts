import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import type { Weights } from '../../weights/weights.js';
import type { AttentionConfig } from '../attention-config.js';
import { LowRankAdapter } from '../linear/low-rank-adapter.js';
import { BaseMLP, type MLPConfig } from '../mlp/mlp.js';
import { type AttentionOptions, BaseAttention, type Qkv } from './base-attention.js';

/** The adapters with which a layer uses what it shares with others. */
export interface Adapters {
  readonly rank: number;
  /** Which of the checkpoint's lists of them: how many layers use the same kind of step before this one. */
  readonly use: number;
}

/** Attention that layers share, each with adapters of its own of queries, keys and values where there are any. */
export class AdaptedAttention extends BaseAttention {
  private readonly adapters: readonly LowRankAdapter[];

  /** Throws what `BaseAttention` throws. */
  constructor(
    layerId: number,
    config: AttentionConfig,
    weights: Weights,
    options: AttentionOptions,
    adapters: Adapters | undefined,
  ) {
    super(layerId, config, weights, options);
    const { hiddenSize, headDim, numAttentionHeads, numKeyValueHeads } = config;
    const heads = { q: numAttentionHeads, k: numKeyValueHeads, v: numKeyValueHeads };
    this.adapters = Object.entries(adapters ? heads : {}).map(([of, count]) => {
      const sizes = { inFeatures: options.inFeatures ?? hiddenSize, outFeatures: count * headDim };
      const at = weights.at(`linear_${of}_adapter_list`).at(adapters?.use ?? 0);
      return new LowRankAdapter(of, { rank: adapters?.rank ?? 0, ...sizes }, at);
    });
  }

  override buildQkvGraph(graph: AtbGraph, input: string): Qkv {
    const shared = super.buildQkvGraph(graph, input);
    const [q = shared.q, k = shared.k, v = shared.v] = this.adapters.map((adapter, at) =>
      adapter.buildGraph(graph, input, [shared.q, shared.k, shared.v][at] ?? ''),
    );
    return { q, k, v };
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { q, k, v } = this.buildQkvGraph(graph, input);
    const placed = this.config.rope ? this.buildRopeGraph(graph, q, k) : { q, k };
    return this.buildDenseGraph(graph, kind, this.buildAttentionGraph(graph, kind, { ...placed, v }));
  }
}

/** An MLP that layers share, each with an adapter of its own of gates and what they gate. */
export class AdaptedMLP extends BaseMLP {
  private readonly adapter: LowRankAdapter;

  /** Throws what `BaseMLP` throws. */
  constructor(config: MLPConfig, weights: Weights, { rank, use }: Adapters) {
    super(config, weights, { names: { gateUp: 'gate_up_proj', down: 'down_proj' } });
    const sizes = { inFeatures: config.hiddenSize, rank, outFeatures: 2 * config.intermediateSize };
    this.adapter = new LowRankAdapter('gate_up', sizes, weights.at('gate_up_proj_adapter_list').at(use));
  }

  override buildGateUpGraph(graph: AtbGraph, input: string): string {
    return this.adapter.buildGraph(graph, input, super.buildGateUpGraph(graph, input));
  }
}
