import {
  activation,
  type ConfigOf,
  defineConfig,
  ENCODER_IRRELEVANT,
  encoder,
  field,
  integer,
  keysBecause,
  only,
  SIZE,
  tablePositions,
} from '../../layers/config/index.js';
import { PostNormLayer } from '../../layers/decoder/decoder-layers.js';
import { classifierOf } from '../../layers/heads/row-heads.js';
import { NormedProjection } from '../../layers/norms/normed-projection.js';
import { registerModel, routerOf } from '../../router/index.js';
import { headRows, lengths, positions, tokenIds, tokenTypes } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import {
  type BertLayerNames,
  bertEmbeddings,
  bertLayerParts,
  HARMLESS_IN_ENCODERS,
} from '../base/bert-parts.js';
import { EncoderModelATB, TextEncoderATB } from '../base/text-encoder-atb.js';

/** Defaults of transformers 5.24, AlbertConfig. */
const ALBERT_CONFIG = defineConfig({
  fields: {
    ...encoder({ typeVocabSize: 2, padTokenId: 0, biases: { qkv: true, dense: true, mlp: true } }),
    ...tablePositions({ count: 512, first: () => 0 }),
    hiddenAct: activation('hidden_act', 'gelu_tanh'),
    embeddingSize: field('embedding_size', SIZE, 128),
    groups: field('num_hidden_groups', integer(1, 1000), 1),
    layersOfGroup: field('inner_group_num', only(1), 1),
  },
  irrelevant: {
    ...ENCODER_IRRELEVANT,
    classifier_dropout_prob: 'says how much is dropped in training',
    ...keysBecause(
      'is of the original code, and AlbertConfig does not read it',
      ...['down_scale_factor', 'gap_size', 'net_structure_type', 'num_memory_blocks'],
    ),
  },
});
type AlbertConfig = ConfigOf<typeof ALBERT_CONFIG>;

const LAYER: BertLayerNames = {
  ...{ q: 'attention.query', k: 'attention.key', v: 'attention.value', dense: 'attention.dense' },
  ...{ attentionNorm: 'attention.LayerNorm', up: 'ffn', down: 'ffn_output' },
  outputNorm: 'full_layer_layer_norm',
};

/** BERT with narrow embeddings, whose layers share their weights (arXiv:1909.11942, section 3.1): all, or each group. */
export class FlashAlbertModelATB extends TextEncoderATB<AlbertConfig> {
  constructor(config: AlbertConfig, weights: Weights) {
    const { embeddingSize, hiddenSize, numHiddenLayers, groups } = config;
    const inner = weights.at('albert');
    const stack = inner.at('encoder');
    const { added, norm } = bertEmbeddings(inner.at('embeddings'), { ...config, hiddenSize: embeddingSize });
    super({
      name: 'albert',
      config,
      stepInputs: [tokenIds, positions, tokenTypes, lengths, headRows],
      body: new EncoderModelATB(config, inner, {
        names: { embedding: 'embeddings.word_embeddings', layers: 'encoder.albert_layer_groups' },
        embeddingSize,
        added,
        norm: new NormedProjection(norm, stack, 'embedding_hidden_mapping_in', { embeddingSize, hiddenSize }),
        layer: (layerId) => {
          const group = Math.floor(layerId / (numHiddenLayers / groups));
          const shared = stack.at('albert_layer_groups').at(group).at('albert_layers').at(0);
          return new PostNormLayer(layerId, shared, bertLayerParts(layerId, shared, config, LAYER));
        },
      }),
      head: classifierOf(weights, config, { dense: 'albert.pooler', out: 'classifier' }),
    });
  }
}

export const AlbertRouter = routerOf(ALBERT_CONFIG, FlashAlbertModelATB, {
  harmlessTensors: [...HARMLESS_IN_ENCODERS, /^(predictions|sop_classifier)\./],
  about: {
    kind: 'encoder',
    features: ['BERT whose layers share their weights', 'embeddings of a width of their own'],
    reference: 'transformers',
  },
});
registerModel('albert', AlbertRouter);
