import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { NormedRotaryAttention, projectionNorms } from '../../layers/attention-orders.js';
import type { AttentionConfig } from '../../layers/base-attention.js';
import { HeadNorm, UnscaledRMSNorm } from '../../layers/norms.js';
import type { Weights } from '../../weights/weights.js';
import type { Gemma4Config } from './config-gemma4.js';

/** What attention of a layer is told: heads of layers without a window have sizes of their own. */
export function attentionConfig(config: Gemma4Config, layerId: number): AttentionConfig {
  if (config.slidingWindows[layerId] !== undefined) return config;
  const { globalHeadDim: headDim, globalKeyValueHeads, keysAreValues, numKeyValueHeads } = config;
  const shared = keysAreValues ? globalKeyValueHeads : undefined;
  return { ...config, headDim, numKeyValueHeads: shared ?? numKeyValueHeads };
}

/** Attention whose queries, keys and values are normed head by head; in some layers values are the keys as projected. */
export class Gemma4Attention extends NormedRotaryAttention {
  readonly vNorm: HeadNorm;

  /** Throws what `BaseAttention` throws. */
  constructor(layerId: number, config: Gemma4Config, weights: Weights) {
    const own = attentionConfig(config, layerId);
    const norm = (of: string, heads: number, ...Norm: [typeof UnscaledRMSNorm?]) =>
      new HeadNorm(weights.at(`${of}_norm`), { ...own, heads }, config.rmsNormEps, ...Norm);
    const areOne = config.keysAreValues && config.slidingWindows[layerId] === undefined;
    super(layerId, own, weights, projectionNorms(own, norm), {
      qkv: { q: 'q_proj', k: 'k_proj', v: areOne ? 'k_proj' : 'v_proj' },
      scale: 1,
    });
    this.vNorm = norm('v', own.numKeyValueHeads, UnscaledRMSNorm);
  }

  override buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { q, k, v } = this.buildQkvGraph(graph, input);
    const placed = this.buildPlacedGraph(graph, q, k);
    const attended = this.buildAttentionGraph(graph, kind, { ...placed, v: this.vNorm.buildGraph(graph, v) });
    return this.buildDenseGraph(graph, kind, attended);
  }
}
