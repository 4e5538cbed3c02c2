import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { BaseAttention } from '../../layers/base-attention.js';
import { BaseLayer } from '../../layers/base-layer.js';
import type { DecoderConfig } from '../../layers/config/index.js';
import { BaseMLP } from '../../layers/mlp.js';
import { BaseRMSNorm } from '../../layers/norms.js';
import { addResidual } from '../../layers/residual.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';

export class LlamaAttention extends BaseAttention {
  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { q, k, v } = this.buildQkvGraph(graph, input);
    const rotated = this.buildRopeGraph(graph, q, k);
    const attended = this.buildAttentionGraph(graph, kind, { ...rotated, v });
    return this.buildDenseGraph(graph, kind, attended);
  }
}

/** The parts of a layer that a variant may replace. */
export interface LlamaLayerParts {
  readonly selfAttn?: BaseAttention;
}

export class LlamaLayer extends BaseLayer {
  readonly inputLayernorm: BaseRMSNorm;
  readonly selfAttn: BaseAttention;
  readonly postAttentionLayernorm: BaseRMSNorm;
  readonly mlp: BaseMLP;

  constructor(layerId: number, config: DecoderConfig, weights: Weights, parts: LlamaLayerParts = {}) {
    super(layerId, weights, config.slidingWindows[layerId] === undefined ? '' : 'sliding');
    const { hiddenSize, rmsNormEps } = config;
    this.inputLayernorm = new BaseRMSNorm(weights.at('input_layernorm'), hiddenSize, rmsNormEps);
    this.selfAttn = parts.selfAttn ?? new LlamaAttention(layerId, config, weights.at('self_attn'));
    this.postAttentionLayernorm = new BaseRMSNorm(
      weights.at('post_attention_layernorm'),
      hiddenSize,
      rmsNormEps,
    );
    this.mlp = new BaseMLP(config, weights.at('mlp'));
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const normed = this.inputLayernorm.buildGraph(graph, hidden);
    const attended = this.selfAttn.buildGraph(graph, kind, normed);
    const residual = addResidual(graph, hidden, attended, 'attn_residual');
    const normedAgain = this.postAttentionLayernorm.buildGraph(graph, residual);
    const mixed = this.mlp.buildGraph(graph, kind, normedAgain);
    return addResidual(graph, residual, mixed, 'layer_out');
  }
}

export class LlamaModelATB extends BaseModelATB {
  constructor(config: DecoderConfig, weights: Weights) {
    super(config, weights, {
      layer: (layerId, at) => new LlamaLayer(layerId, config, at),
      norm: new BaseRMSNorm(weights.at('norm'), config.hiddenSize, config.rmsNormEps),
    });
  }
}
