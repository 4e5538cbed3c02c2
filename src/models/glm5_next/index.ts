import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { PooledIndexer } from '../../layers/attention/pooled-indexer.js';
import { indexerVariant, SparseLatentAttention } from '../../layers/attention/sparse-latent-attention.js';
import { sigmoidExperts } from '../../layers/experts/sigmoid-experts.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { KimiDeltaAttention } from '../../layers/recurrent/kimi-delta-attention.js';
import { EqualStreams, hyperNames } from '../../layers/streams/hyper-connection.js';
import { HyperLayer } from '../../layers/streams/hyper-layer.js';
import { MeanOfStreams } from '../../layers/streams/mean-of-streams.js';
import { MixingConnection } from '../../layers/streams/mixing-connection.js';
import { registerModel, routerOf } from '../../router/index.js';
import { blockTokens, entries, type StepInput } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { rootsOf } from '../base/vision/index.js';
import { GLM5_NEXT_CONFIG, type Glm5NextConfig } from './config-glm5-next.js';

/** Attention of a layer: latent, to chosen pools of tokens, or linear. `weights` is its cursor. */
function attentionOf(layerId: number, config: Glm5NextConfig, weights: Weights) {
  if (!config.attends[layerId])
    return new KimiDeltaAttention(layerId, config, weights, { logDecayShape: (heads) => [heads] });
  const options = { latentEpsilon: config.rmsNormEps };
  return new SparseLatentAttention(layerId, config, weights, options, PooledIndexer);
}

const layerOf = (config: Glm5NextConfig, layerId: number, weights: Weights): HyperLayer => {
  const { hiddenSize, rmsNormEps, swigluLimit: limit } = config;
  const [attends, isSparse] = [config.attends[layerId], config.sparseLayers[layerId]];
  const clamp = { limit, clampForm: 'gates' } as const;
  const norm = (name: string) => new BaseRMSNorm(weights.at(name), hiddenSize, rmsNormEps);
  const around = (name: string) => new MixingConnection(config, weights, name, hyperNames(name));
  const mlp = weights.at('mlp');
  const parts = {
    aroundAttention: around('hc_attn'),
    inputLayernorm: norm('input_layernorm'),
    selfAttn: attentionOf(layerId, config, weights.at('self_attn')),
    aroundMlp: around('hc_ffn'),
    postAttentionLayernorm: norm('post_attention_layernorm'),
    mlp: isSparse
      ? sigmoidExperts({ ...config, clamp, sharedClamp: clamp }, mlp, {
          correction: 'gate.e_score_correction_bias',
        })
      : new BaseMLP(config, mlp, { clamp }),
  };
  const variant = [attends ? indexerVariant(config, layerId) : 'linear', isSparse ? 'sparse' : ''];
  return new HyperLayer(layerId, weights, parts, variant.filter((part) => part !== '').join('_'));
};

/** Layers read several streams, each of which begins as the embedding; what comes out is their mean. */
class Glm5NextModel extends BaseModelATB {
  readonly begin: EqualStreams;

  constructor(config: Glm5NextConfig, weights: Weights) {
    const norm = new BaseRMSNorm(weights.at('norm'), config.hiddenSize, config.rmsNormEps);
    super(config, weights, {
      layer: (layerId, at) => layerOf(config, layerId, at),
      norm: new MeanOfStreams(config.streams, norm),
    });
    this.begin = new EqualStreams(config, weights);
  }

  override buildInputGraph(graph: AtbGraph, kind: GraphKind): string {
    return this.begin.buildGraph(graph, super.buildInputGraph(graph, kind));
  }
}

/** The text of GLM-5.3: linear attention, latent attention to pools of tokens, streams of hidden states, experts. */
export class FlashGlm5NextForCausalLMATB extends FlashForCausalLMATB<Glm5NextConfig> {
  readonly name = 'glm5_next';
  protected readonly model: Glm5NextModel;

  constructor(config: Glm5NextConfig, weights: Weights) {
    const { text } = rootsOf(weights);
    super(config, weights, { names: { embedding: `${text}.embed_tokens`, head: 'lm_head' } });
    this.model = new Glm5NextModel(config, weights.at(text));
  }

  override get stepInputs(): readonly StepInput[] {
    return [...super.stepInputs, entries(this.config.tokensPerKey), blockTokens];
  }
}

export const Glm5NextRouter = routerOf(GLM5_NEXT_CONFIG, FlashGlm5NextForCausalLMATB, {
  // What sees, which is not built, and layers behind the last, which guess further tokens.
  harmlessTensors: (config) => [
    /^(model\.)?visual\./,
    new RegExp(`^model\\.(language_model\\.)?layers\\.${config.numHiddenLayers}\\.`),
    /\.shared_head\./,
  ],
  about: {
    kind: 'experts',
    features: [
      'as kimi_linear',
      'latent attention to chosen pools of tokens',
      'streams that mix',
      'clamped SwiGLU',
      'text alone: no pictures',
    ],
    reference: 'transformers',
  },
});
registerModel('glm5_next', Glm5NextRouter);
