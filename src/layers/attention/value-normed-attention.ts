import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import type { Weights } from '../../weights/weights.js';
import type { AttentionConfig } from '../attention-config.js';
import { HeadNorm, UnscaledRMSNorm } from '../norms/norms.js';
import { NormedRotaryAttention, projectionNorms } from './attention-orders.js';

/** Attention whose queries, keys and values are normed head by head, values without a weight; scores are not scaled. */
export class ValueNormedAttention extends NormedRotaryAttention {
  readonly vNorm: HeadNorm;

  /**
   * `v`: the checkpoint's name of the projection of values, which may be that of keys. Throws what `BaseAttention`
   * throws.
   */
  constructor(
    layerId: number,
    config: AttentionConfig & { readonly rmsNormEps: number },
    weights: Weights,
    v: 'k_proj' | 'v_proj' = 'v_proj',
  ) {
    const norm = (of: string, heads: number, ...Norm: [typeof UnscaledRMSNorm?]) =>
      new HeadNorm(weights.at(`${of}_norm`), { ...config, heads }, config.rmsNormEps, ...Norm);
    const options = { qkv: { q: 'q_proj', k: 'k_proj', v }, scale: 1 };
    super(layerId, config, weights, projectionNorms(config, norm), options);
    this.vNorm = norm('v', config.numKeyValueHeads, UnscaledRMSNorm);
  }

  override buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { q, k, v } = this.buildQkvGraph(graph, input);
    const placed = this.buildPlacedGraph(graph, q, k);
    const attended = this.buildAttentionGraph(graph, kind, { ...placed, v: this.vNorm.buildGraph(graph, v) });
    return this.buildDenseGraph(graph, kind, attended);
  }
}
