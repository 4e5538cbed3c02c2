import type { Phase } from '../../common-op-builders/index.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import { BaseAttention } from '../../layers/base-attention.js';
import { HeadNorm } from '../../layers/base-rms-norm.js';
import type { BaseConfig } from '../../layers/config/index.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { LlamaLayer } from '../llama/index.js';

/** Llama's attention, with q and k RMS-normalised per head before RoPE (arXiv:2505.09388, section 2). */
export class Qwen3Attention extends BaseAttention {
  readonly qNorm: HeadNorm;
  readonly kNorm: HeadNorm;

  constructor(layerId: number, config: BaseConfig, weights: Weights) {
    super(layerId, config, weights);
    const { headDim, rmsNormEps, numAttentionHeads, numKeyValueHeads } = config;
    this.qNorm = new HeadNorm(weights.at('q_norm'), headDim, rmsNormEps, 'q', numAttentionHeads);
    this.kNorm = new HeadNorm(weights.at('k_norm'), headDim, rmsNormEps, 'k', numKeyValueHeads);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), ...this.qNorm.getWeights(), ...this.kNorm.getWeights()];
  }

  buildGraph(graph: AtbGraph, phase: Phase): void {
    this.buildQkvGraph(graph);
    this.qNorm.buildGraph(graph);
    this.kNorm.buildGraph(graph);
    this.buildRopeGraph(graph, 'q_norm', 'k_norm');
    this.buildAttentionGraph(graph, phase);
    this.buildDenseGraph(graph, phase);
  }
}

export class Qwen3Layer extends LlamaLayer {
  constructor(layerId: number, config: BaseConfig, weights: Weights) {
    super(layerId, config, weights, Qwen3Attention);
  }
}

export class Qwen3ModelATB extends BaseModelATB {
  constructor(config: BaseConfig, weights: Weights) {
    super(config, weights, Qwen3Layer);
  }
}
