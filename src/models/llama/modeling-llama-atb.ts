import type { Phase } from '../../common-op-builders/index.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import { BaseAttention } from '../../layers/base-attention.js';
import { BaseMLP } from '../../layers/base-mlp.js';
import { BaseRMSNorm } from '../../layers/base-rms-norm.js';
import type { BaseConfig } from '../../layers/config/index.js';
import type { Module } from '../../layers/module.js';
import { addResidual } from '../../layers/residual.js';
import type { Weights } from '../../weights/weights.js';
import { BaseLayer } from '../base/base-layer.js';
import { BaseModelATB } from '../base/base-model-atb.js';

export class LlamaAttention extends BaseAttention {
  buildGraph(graph: AtbGraph, phase: Phase): void {
    this.buildQkvGraph(graph);
    this.buildRopeGraph(graph);
    this.buildAttentionGraph(graph, phase);
    this.buildDenseGraph(graph, phase);
  }
}

export type AttentionClass = new (layerId: number, config: BaseConfig, weights: Weights) => BaseAttention;

export class LlamaLayer extends BaseLayer {
  readonly inputLayernorm: BaseRMSNorm;
  readonly selfAttn: BaseAttention;
  readonly postAttentionLayernorm: BaseRMSNorm;
  readonly mlp: BaseMLP;

  constructor(
    layerId: number,
    config: BaseConfig,
    weights: Weights,
    Attention: AttentionClass = LlamaAttention,
  ) {
    super(layerId, config, weights.path());
    const norm = (name: string, input: string): BaseRMSNorm =>
      new BaseRMSNorm(weights.at(name), config.hiddenSize, config.rmsNormEps, input, `${name}_out`);
    this.inputLayernorm = norm('input_layernorm', 'hidden_states');
    this.selfAttn = new Attention(layerId, config, weights.at('self_attn'));
    this.postAttentionLayernorm = norm('post_attention_layernorm', 'attn_residual');
    this.mlp = new BaseMLP(config, weights.at('mlp'));
  }

  protected modules(): Module[] {
    return [this.inputLayernorm, this.selfAttn, this.postAttentionLayernorm, this.mlp];
  }

  protected buildLayerGraph(graph: AtbGraph, phase: Phase): void {
    this.inputLayernorm.buildGraph(graph);
    this.selfAttn.buildGraph(graph, phase);
    addResidual(graph, 'hidden_states', 'dense_out', 'attn_residual');
    this.postAttentionLayernorm.buildGraph(graph);
    this.mlp.buildGraph(graph, phase);
    addResidual(graph, 'attn_residual', 'mlp_out', 'layer_out');
  }
}

export class LlamaModelATB extends BaseModelATB {
  constructor(config: BaseConfig, weights: Weights) {
    super(config, weights, LlamaLayer);
  }
}
