import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { NormedRotaryAttention, type ProjectionNorms } from '../../layers/attention-orders.js';
import { BaseLayer } from '../../layers/base-layer.js';
import {
  biases,
  type DecoderConfig,
  decoder,
  defineConfig,
  fullAttention,
} from '../../layers/config/index.js';
import type { LayerStep } from '../../layers/decoder-layers.js';
import { BaseMLP } from '../../layers/mlp.js';
import { BaseRMSNorm } from '../../layers/norms.js';
import { addResidual } from '../../layers/residual.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';

/** Defaults of transformers 5.24, Olmo2Config. */
const OLMO2_CONFIG = defineConfig({
  fields: {
    ...decoder({
      numKeyValueHeads: 'num_attention_heads',
      headDim: 'hidden_size / num_attention_heads',
      hiddenAct: 'silu',
      rmsNormEps: 1e-5,
      ropeTheta: 10_000,
      tieWordEmbeddings: false,
    }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    slidingWindows: fullAttention,
  },
});

/** The norms of queries and keys of an attention module, each over all heads at once. */
export function olmo2Norms(config: DecoderConfig, weights: Weights): ProjectionNorms {
  const { numAttentionHeads, numKeyValueHeads, headDim, rmsNormEps } = config;
  const norm = (name: string, heads: number) =>
    new BaseRMSNorm(weights.at(name), heads * headDim, rmsNormEps);
  return { q: norm('q_norm', numAttentionHeads), k: norm('k_norm', numKeyValueHeads) };
}

/** Norms are over the results of attention and MLP, not over what goes into them (arXiv:2501.00656, section 3). */
export class Olmo2Layer extends BaseLayer {
  readonly selfAttn: LayerStep;
  readonly postAttentionLayernorm: BaseRMSNorm;
  readonly mlp: BaseMLP;
  readonly postFeedforwardLayernorm: BaseRMSNorm;

  constructor(layerId: number, config: DecoderConfig, weights: Weights, selfAttn: LayerStep) {
    super(layerId, weights, config.slidingWindows[layerId] === undefined ? '' : 'sliding');
    const norm = (name: string) => new BaseRMSNorm(weights.at(name), config.hiddenSize, config.rmsNormEps);
    this.selfAttn = selfAttn;
    this.postAttentionLayernorm = norm('post_attention_layernorm');
    this.mlp = new BaseMLP(config, weights.at('mlp'));
    this.postFeedforwardLayernorm = norm('post_feedforward_layernorm');
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const attended = this.selfAttn.buildGraph(graph, kind, hidden);
    const normed = this.postAttentionLayernorm.buildGraph(graph, attended);
    const residual = addResidual(graph, hidden, normed, 'attn_residual');
    const mixed = this.mlp.buildGraph(graph, kind, residual);
    return addResidual(graph, residual, this.postFeedforwardLayernorm.buildGraph(graph, mixed), 'layer_out');
  }
}

export class FlashOlmo2ForCausalLMATB extends FlashForCausalLMATB {
  readonly name = 'olmo2';
  protected readonly model: BaseModelATB;

  constructor(config: DecoderConfig, weights: Weights) {
    super(config, weights);
    const inner = weights.at('model');
    this.model = new BaseModelATB(config, inner, {
      layer(layerId, at) {
        const own = at.at('self_attn');
        const selfAttn = new NormedRotaryAttention(layerId, config, own, olmo2Norms(config, own));
        return new Olmo2Layer(layerId, config, at, selfAttn);
      },
      norm: new BaseRMSNorm(inner.at('norm'), config.hiddenSize, config.rmsNormEps),
    });
  }
}

export const Olmo2Router = routerOf(OLMO2_CONFIG, FlashOlmo2ForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['norms behind each step', 'norms of q and k over all heads'],
    reference: 'transformers',
  },
});
registerModel('olmo2', Olmo2Router);
