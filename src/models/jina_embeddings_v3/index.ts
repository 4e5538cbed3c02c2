import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import {
  type ConfigOf,
  defineConfig,
  ENCODER_IRRELEVANT,
  encoder,
  field,
  LENGTH,
  positive,
  rotaryConfig,
} from '../../layers/config/index.js';
import { PostNormLayer } from '../../layers/decoder/decoder-layers.js';
import { classifierOf } from '../../layers/heads/row-heads.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import { headRows, lengths, rotary, tokenIds, tokenTypes } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { bertAdditions, HARMLESS_IN_ENCODERS } from '../base/bert-parts.js';
import { EncoderModelATB, TextEncoderATB } from '../base/text-encoder-atb.js';

/** Defaults of transformers 5.24, JinaEmbeddingsV3Config. */
const JINA_V3_CONFIG = defineConfig({
  fields: {
    ...encoder({ typeVocabSize: 1, padTokenId: 1, biases: { qkv: true, dense: true, mlp: true } }),
    layerNormEps: field('layer_norm_eps', positive(1), 1e-5),
    maxPositionEmbeddings: field('max_position_embeddings', LENGTH, 8194),
    rope: rotaryConfig({ theta: 20_000 }),
  },
  irrelevant: ENCODER_IRRELEVANT,
});
type JinaV3Config = ConfigOf<typeof JINA_V3_CONFIG>;

/** XLM-RoBERTa with rotary positions, without the adapters of tasks (arXiv:2409.10173, section 3). */
export class FlashJinaEmbeddingsV3ModelATB extends TextEncoderATB<JinaV3Config> {
  constructor(config: JinaV3Config, weights: Weights) {
    const { hiddenSize, layerNormEps } = config;
    const inner = weights.at('roberta');
    const norm = (at: Weights) => new BaseLayerNorm(at, hiddenSize, layerNormEps);
    super({
      name: 'jina_embeddings_v3',
      config,
      stepInputs: [tokenIds, rotary(config.rope), tokenTypes, lengths, headRows],
      body: new EncoderModelATB(config, inner, {
        names: { embedding: 'embeddings.word_embeddings', layers: 'encoder.layers' },
        added: bertAdditions(inner.at('embeddings'), { ...config, positionTable: 0 }),
        norm: norm(inner.at('emb_ln')),
        layer: (layerId, at) =>
          new PostNormLayer(layerId, at, {
            selfAttn: new RotaryAttention(layerId, config, at.at('mixer'), {
              qkv: { packed: 'Wqkv', order: 'blocks' },
              dense: 'out_proj',
            }),
            inputLayernorm: norm(at.at('norm1')),
            mlp: new UngatedMLP(config, at.at('mlp'), { names: { up: 'fc1', down: 'fc2' } }),
            postAttentionLayernorm: norm(at.at('norm2')),
          }),
      }),
      head: classifierOf(weights, config, { dense: 'classifier.dense', out: 'classifier.out_proj' }),
    });
  }
}

export const JinaEmbeddingsV3Router = routerOf(JINA_V3_CONFIG, FlashJinaEmbeddingsV3ModelATB, {
  harmlessTensors: HARMLESS_IN_ENCODERS,
  about: {
    kind: 'encoder',
    features: ['XLM-RoBERTa with rotary positions', 'without adapters of tasks'],
    reference: 'transformers',
  },
});
registerModel('jina_embeddings_v3', JinaEmbeddingsV3Router);
