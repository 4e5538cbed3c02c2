import {
  type ConfigOf,
  defineConfig,
  ENCODER_IRRELEVANT,
  encoder,
  field,
  keysBecause,
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

/** Defaults of transformers 5.24, ElectraConfig. */
const ELECTRA_CONFIG = defineConfig({
  fields: {
    ...encoder({ typeVocabSize: 2, padTokenId: 0, biases: { qkv: true, dense: true, mlp: true } }),
    ...tablePositions({ count: 512, first: () => 0 }),
    embeddingSize: field('embedding_size', SIZE, 128),
  },
  irrelevant: {
    ...ENCODER_IRRELEVANT,
    ...keysBecause(
      'is about the model that made the words of training',
      ...['generator_size', 'summary_last_dropout'],
    ),
  },
});
type ElectraConfig = ConfigOf<typeof ELECTRA_CONFIG>;

/** BERT whose embeddings may be narrower than its hidden states (arXiv:2003.10555, section 3.2). */
export class FlashElectraModelATB extends TextEncoderATB<ElectraConfig> {
  constructor(config: ElectraConfig, weights: Weights) {
    const { embeddingSize, hiddenSize } = config;
    const inner = weights.at('electra');
    const { added, norm } = bertEmbeddings(inner.at('embeddings'), { ...config, hiddenSize: embeddingSize });
    super({
      name: 'electra',
      config,
      stepInputs: [tokenIds, positions, tokenTypes, lengths, headRows],
      body: new EncoderModelATB(config, inner, {
        names: { embedding: 'embeddings.word_embeddings', layers: 'encoder.layer' },
        embeddingSize,
        added,
        norm:
          embeddingSize === hiddenSize
            ? norm
            : new NormedProjection(norm, inner, 'embeddings_project', { embeddingSize, hiddenSize }),
        layer: (layerId, at) => new PostNormLayer(layerId, at, bertLayerParts(layerId, at, config)),
      }),
      head: classifierOf(weights, config, {
        dense: 'classifier.dense',
        out: 'classifier.out_proj',
        act: 'gelu',
      }),
    });
  }
}

export const ElectraRouter = routerOf(ELECTRA_CONFIG, FlashElectraModelATB, {
  harmlessTensors: [
    ...HARMLESS_IN_ENCODERS,
    /^(discriminator_predictions|generator_predictions|generator_lm_head)\./,
  ],
  about: {
    kind: 'encoder',
    features: ['BERT with embeddings of a width of their own'],
    reference: 'transformers',
  },
});
registerModel('electra', ElectraRouter);
