import {
  activation,
  type ConfigOf,
  constant,
  defineConfig,
  ENCODER_IRRELEVANT,
  encoder,
  field,
  HEADS,
  keysBecause,
  LAYERS,
  required,
  SIZE,
  tablePositions,
  WIDTH,
} from '../../layers/config/index.js';
import { PostNormLayer } from '../../layers/decoder/decoder-layers.js';
import { classifierOf } from '../../layers/heads/row-heads.js';
import { registerModel, routerOf } from '../../router/index.js';
import { headRows, lengths, positions, tokenIds } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { type BertLayerNames, bertEmbeddings, bertLayerParts } from '../base/bert-parts.js';
import { EncoderModelATB, TextEncoderATB } from '../base/text-encoder-atb.js';

/** Defaults of transformers 5.24, DistilBertConfig. */
const DISTILBERT_CONFIG = defineConfig({
  fields: {
    ...encoder({ typeVocabSize: 0, padTokenId: 0, biases: { qkv: true, dense: true, mlp: true } }),
    ...tablePositions({ count: 512, first: () => 0 }),
    hiddenSize: field(['dim', 'hidden_size'], SIZE, required),
    intermediateSize: field('hidden_dim', WIDTH, required),
    numHiddenLayers: field(['n_layers', 'num_hidden_layers'], LAYERS, required),
    numAttentionHeads: field(['n_heads', 'num_attention_heads'], HEADS, required),
    hiddenAct: activation('activation', 'gelu'),
    // DistilBertModel knows no other.
    layerNormEps: constant(1e-12),
    typeVocabSize: constant(0),
  },
  irrelevant: {
    ...ENCODER_IRRELEVANT,
    ...keysBecause(
      'is not read by DistilBertModel',
      ...['hidden_act', 'intermediate_size', 'layer_norm_eps', 'type_vocab_size', 'tie_weights_'],
    ),
    ...keysBecause('is used in training alone', 'qa_dropout', 'seq_classif_dropout'),
    sinusoidal_pos_embds: 'says how the table of positions began, which the checkpoint has',
  },
});
type DistilBertConfig = ConfigOf<typeof DISTILBERT_CONFIG>;

const LAYER: BertLayerNames = {
  q: 'attention.q_lin',
  k: 'attention.k_lin',
  v: 'attention.v_lin',
  dense: 'attention.out_lin',
  attentionNorm: 'sa_layer_norm',
  up: 'ffn.lin1',
  down: 'ffn.lin2',
  outputNorm: 'output_layer_norm',
};

/** BERT without types of tokens and with half of its layers (arXiv:1910.01108, section 3). */
export class FlashDistilBertModelATB extends TextEncoderATB<DistilBertConfig> {
  constructor(config: DistilBertConfig, weights: Weights) {
    const inner = weights.at('distilbert');
    super({
      name: 'distilbert',
      config,
      stepInputs: [tokenIds, positions, lengths, headRows],
      body: new EncoderModelATB(config, inner, {
        names: { embedding: 'embeddings.word_embeddings', layers: 'transformer.layer' },
        ...bertEmbeddings(inner.at('embeddings'), config),
        layer: (layerId, at) => new PostNormLayer(layerId, at, bertLayerParts(layerId, at, config, LAYER)),
      }),
      head: classifierOf(weights, config, { dense: 'pre_classifier', out: 'classifier', act: 'relu' }),
    });
  }
}

export const DistilBertRouter = routerOf(DISTILBERT_CONFIG, FlashDistilBertModelATB, {
  // What predicts words, and the numbers of positions.
  harmlessTensors: [/^vocab_(transform|layer_norm|projector)\./, /(^|\.)embeddings\.position_ids$/],
  about: {
    kind: 'encoder',
    features: ['BERT without types of tokens'],
    reference: 'transformers',
  },
});
registerModel('distilbert', DistilBertRouter);
