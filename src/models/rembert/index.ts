import {
  type ConfigOf,
  defineConfig,
  ENCODER_IRRELEVANT,
  encoder,
  field,
  SIZE,
  tablePositions,
} from '../../layers/config/index.js';
import { PostNormLayer } from '../../layers/decoder/decoder-layers.js';
import { classifierOf } from '../../layers/heads/row-heads.js';
import { NormedProjection } from '../../layers/norms/normed-projection.js';
import { registerModel, routerOf } from '../../router/index.js';
import { headRows, lengths, positions, tokenIds, tokenTypes } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { bertEmbeddings, bertLayerParts, HARMLESS_IN_ENCODERS } from '../base/bert-parts.js';
import { EncoderModelATB, TextEncoderATB } from '../base/text-encoder-atb.js';

/** Defaults of transformers 5.24, RemBertConfig. */
const REMBERT_CONFIG = defineConfig({
  fields: {
    ...encoder({ typeVocabSize: 2, padTokenId: 0, biases: { qkv: true, dense: true, mlp: true } }),
    ...tablePositions({ count: 512, first: () => 0 }),
    embeddingSize: field('input_embedding_size', SIZE, 256),
  },
  irrelevant: {
    ...ENCODER_IRRELEVANT,
    output_embedding_size: 'is about the head that predicts words',
    classifier_dropout_prob: 'says how much is dropped in training',
  },
});
type RemBertConfig = ConfigOf<typeof REMBERT_CONFIG>;

/** BERT whose embeddings are narrower than its hidden states, and not those of its head (arXiv:2010.12821, section 5). */
export class FlashRemBertModelATB extends TextEncoderATB<RemBertConfig> {
  constructor(config: RemBertConfig, weights: Weights) {
    const { embeddingSize, hiddenSize } = config;
    const inner = weights.at('rembert');
    const { added, norm } = bertEmbeddings(inner.at('embeddings'), { ...config, hiddenSize: embeddingSize });
    super({
      name: 'rembert',
      config,
      stepInputs: [tokenIds, positions, tokenTypes, lengths, headRows],
      body: new EncoderModelATB(config, inner, {
        names: { embedding: 'embeddings.word_embeddings', layers: 'encoder.layer' },
        embeddingSize,
        added,
        norm: new NormedProjection(norm, inner.at('encoder'), 'embedding_hidden_mapping_in', {
          embeddingSize,
          hiddenSize,
        }),
        layer: (layerId, at) => new PostNormLayer(layerId, at, bertLayerParts(layerId, at, config)),
      }),
      head: classifierOf(weights, config, { dense: 'rembert.pooler.dense', out: 'classifier' }),
    });
  }
}

export const RemBertRouter = routerOf(REMBERT_CONFIG, FlashRemBertModelATB, {
  harmlessTensors: HARMLESS_IN_ENCODERS,
  about: {
    kind: 'encoder',
    features: ['BERT with embeddings of a width of their own'],
    reference: 'transformers',
  },
});
registerModel('rembert', RemBertRouter);
