import {
  activation,
  type ConfigOf,
  defineConfig,
  ENCODER_IRRELEVANT,
  encoder,
  type Field,
  field,
  flag,
  integer,
  only,
  SIZE,
  tablePositions,
} from '../../layers/config/index.js';

type Narrow = { readonly narrowSize: number; readonly numAttentionHeads: number };

const headDim: Field<number, Narrow> = {
  read: (json, { narrowSize: size, numAttentionHeads: heads }) =>
    size % heads === 0
      ? size / heads
      : json.fail(`intra_bottleneck_size (${size}) must be a multiple of num_attention_heads (${heads})`),
};

/** Defaults of transformers 5.24, MobileBertConfig. */
export const MOBILEBERT_CONFIG = defineConfig({
  fields: {
    ...encoder({ typeVocabSize: 2, padTokenId: 0, biases: { qkv: true, dense: true, mlp: true } }),
    ...tablePositions({ count: 512, first: () => 0 }),
    hiddenAct: activation('hidden_act', 'relu'),
    // Where layers work: hidden states are made so narrow, and wide again.
    narrowSize: field('intra_bottleneck_size', SIZE, 128),
    headDim,
    embeddingSize: field('embedding_size', SIZE, 128),
    feedForwards: field('num_feedforward_networks', integer(1, 64), 4),
    // Of the published model; other branches of the class belong to none.
    isNarrow: field('use_bottleneck', only(true), true),
    narrowsValues: field('use_bottleneck_attention', only(false), false),
    sharesNarrow: field('key_query_shared_bottleneck', only(true), true),
    seesNeighbours: field('trigram_input', only(true), true),
    normType: field('normalization_type', only('no_norm'), 'no_norm'),
    hasPooler: field('classifier_activation', flag, true),
  },
  irrelevant: { ...ENCODER_IRRELEVANT, true_hidden_size: 'is intra_bottleneck_size' },
});
export type MobileBertConfig = ConfigOf<typeof MOBILEBERT_CONFIG>;
