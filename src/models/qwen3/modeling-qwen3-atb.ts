import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { BaseAttention } from '../../layers/base-attention.js';
import type { DecoderConfig } from '../../layers/config/index.js';
import { BaseRMSNorm, HeadNorm } from '../../layers/norms.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { LlamaLayer } from '../llama/index.js';

/** Llama's attention, with q and k RMS-normalised per head before RoPE (arXiv:2505.09388, section 2). */
export class Qwen3Attention extends BaseAttention {
  readonly qNorm: HeadNorm;
  readonly kNorm: HeadNorm;

  constructor(layerId: number, config: DecoderConfig, weights: Weights) {
    super(layerId, config, weights);
    const { rmsNormEps, numAttentionHeads, numKeyValueHeads } = config;
    this.qNorm = new HeadNorm(weights.at('q_norm'), { ...config, heads: numAttentionHeads }, rmsNormEps);
    this.kNorm = new HeadNorm(weights.at('k_norm'), { ...config, heads: numKeyValueHeads }, rmsNormEps);
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { q, k, v } = this.buildQkvGraph(graph, input);
    const normedQ = this.qNorm.buildGraph(graph, q);
    const normedK = this.kNorm.buildGraph(graph, k);
    const rotated = this.buildRopeGraph(graph, normedQ, normedK);
    const attended = this.buildAttentionGraph(graph, kind, { ...rotated, v });
    return this.buildDenseGraph(graph, kind, attended);
  }
}

export class Qwen3ModelATB extends BaseModelATB {
  constructor(config: DecoderConfig, weights: Weights) {
    super(config, weights, {
      layer(layerId, at) {
        const selfAttn = new Qwen3Attention(layerId, config, at.at('self_attn'));
        return new LlamaLayer(layerId, config, at, { selfAttn });
      },
      norm: new BaseRMSNorm(weights.at('norm'), config.hiddenSize, config.rmsNormEps),
    });
  }
}
