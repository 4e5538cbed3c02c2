import type { AtbGraph } from '../../graph/atb-graph.js';
import { PositionFreeAttention } from '../../layers/attention/attention-orders.js';
import { NormedResidualLayer, PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { type HeadNames, registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { BLOOM_CONFIG, type BloomConfig } from './config-bloom.js';

const HEAD: HeadNames = { embedding: 'transformer.word_embeddings', head: 'lm_head' };

const norm = (config: BloomConfig, weights: Weights): BaseLayerNorm =>
  new BaseLayerNorm(weights, config.hiddenSize, config.layerNormEps);

/** A decoder that norms its embeddings, too (arXiv:2211.05100, section 3.2.3). */
class BloomModelATB extends BaseModelATB {
  readonly wordEmbeddingsLayernorm: BaseLayerNorm;

  constructor(config: BloomConfig, weights: Weights) {
    const Layer = config.addsToNormed ? NormedResidualLayer : PreNormLayer;
    super(config, weights, {
      layer: (layerId, at) =>
        new Layer(layerId, at, {
          inputLayernorm: norm(config, at.at('input_layernorm')),
          selfAttn: new PositionFreeAttention(layerId, config, at.at('self_attention'), {
            qkv: { packed: 'query_key_value', order: 'groups' },
            dense: 'dense',
          }),
          postAttentionLayernorm: norm(config, at.at('post_attention_layernorm')),
          mlp: new UngatedMLP(config, at.at('mlp'), {
            names: { up: 'dense_h_to_4h', down: 'dense_4h_to_h' },
          }),
        }),
      norm: norm(config, weights.at('ln_f')),
      names: { embedding: 'word_embeddings', layers: 'h' },
    });
    this.wordEmbeddingsLayernorm = norm(config, weights.at('word_embeddings_layernorm'));
  }

  override buildWordEmbeddingGraph(graph: AtbGraph): string {
    return this.wordEmbeddingsLayernorm.buildGraph(graph, super.buildWordEmbeddingGraph(graph));
  }
}

/** ALiBi, and queries, keys and values that take turns in one projection. */
export class FlashBloomForCausalLMATB extends FlashForCausalLMATB<BloomConfig> {
  readonly name = 'bloom';
  protected readonly model: BloomModelATB;

  constructor(config: BloomConfig, weights: Weights) {
    super(config, weights, { names: HEAD });
    this.model = new BloomModelATB(config, weights.at('transformer'));
  }
}

export const BloomRouter = routerOf(BLOOM_CONFIG, FlashBloomForCausalLMATB, {
  headNames: HEAD,
  about: {
    kind: 'positions',
    features: ['ALiBi', 'a norm of the embeddings', 'packing head by head'],
    reference: 'transformers',
  },
});
registerModel('bloom', BloomRouter);
