import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { type AttentionConfig, BaseAttention } from '../../layers/base-attention.js';
import type { BaseConfig } from '../../layers/config/index.js';
import { type LayerStep, ParallelLayer } from '../../layers/decoder-layers.js';
import { BaseMLP, type MLPConfig } from '../../layers/mlp.js';
import { BaseLayerNorm, PerHeadLayerNorm } from '../../layers/norms.js';
import { addScaled } from '../../layers/residual.js';
import { expertOf } from '../../weights/weight-changes.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';

/** What all models of the Command series have. */
export interface CommandConfig extends BaseConfig, AttentionConfig, MLPConfig {
  readonly hiddenSize: number;
  readonly numAttentionHeads: number;
  readonly numKeyValueHeads: number;
  readonly headDim: number;
  readonly slidingWindows: readonly (number | undefined)[];
  readonly layerNormEps: number;
  readonly logitScale: number;
}

/** Attention whose queries and keys may have a LayerNorm for each head before they are rotated. */
export class CohereAttention extends BaseAttention {
  readonly qNorm: PerHeadLayerNorm | undefined;
  readonly kNorm: PerHeadLayerNorm | undefined;

  constructor(layerId: number, config: CommandConfig & { readonly useQkNorm: boolean }, weights: Weights) {
    super(layerId, config, weights);
    const norm = (name: string, heads: number) => {
      const ofHeads = weights.at(name).get('weight', [heads, config.headDim]);
      const ofHead = (head: number) => expertOf(ofHeads, head);
      return new PerHeadLayerNorm(weights.at(name), { ...config, heads }, config.layerNormEps, ofHead);
    };
    if (!config.useQkNorm) return;
    this.qNorm = norm('q_norm', config.numAttentionHeads);
    this.kNorm = norm('k_norm', config.numKeyValueHeads);
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { q, k, v } = this.buildQkvGraph(graph, input);
    const normedQ = this.qNorm?.buildGraph(graph, q) ?? q;
    const normedK = this.kNorm?.buildGraph(graph, k) ?? k;
    const rotated = this.buildRopeGraph(graph, normedQ, normedK);
    const attended = this.buildAttentionGraph(graph, kind, { ...rotated, v });
    return this.buildDenseGraph(graph, kind, attended);
  }
}

/** Parallel layers, LayerNorm without bias, neighbouring elements of heads that turn together, scaled logits. */
export abstract class FlashParallelCohereATB<C extends CommandConfig> extends FlashForCausalLMATB<C> {
  protected readonly model: BaseModelATB;

  constructor(config: C, weights: Weights, attention: (layerId: number, weights: Weights) => LayerStep) {
    super(config, weights);
    const norm = (at: Weights) =>
      new BaseLayerNorm(at, config.hiddenSize, config.layerNormEps, { hasBias: false });
    const inner = weights.at('model');
    this.model = new BaseModelATB(config, inner, {
      layer(layerId, at) {
        const parts = {
          inputLayernorm: norm(at.at('input_layernorm')),
          selfAttn: attention(layerId, at.at('self_attn')),
          mlp: new BaseMLP(config, at.at('mlp')),
        };
        return new ParallelLayer(layerId, at, parts, config.slidingWindows[layerId] ? 'sliding' : '');
      },
      norm: norm(inner.at('norm')),
    });
  }

  protected override buildHeadGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const logits = super.buildHeadGraph(graph, kind, hidden);
    return addScaled(graph, logits, this.config.logitScale, 'scaled_logits');
  }
}
