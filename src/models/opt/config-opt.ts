import {
  activation,
  type ConfigOf,
  defineConfig,
  type Field,
  field,
  flag,
  fullAttention,
  groupedQueryAttention,
  integer,
  learnedPositions,
  only,
  required,
  textModel,
} from '../../layers/config/index.js';

/** Nothing norms the last layer's result where layers do so themselves, nor in the first files. */
const hasLastNorm: Field<boolean, { readonly normsBefore: boolean }> = {
  read(json, { normsBefore }) {
    const lacks = field('_remove_final_layer_norm', flag, false).read(json, {});
    return normsBefore && !lacks;
  },
};

const WIDTH = integer(1, 2 ** 24);

/** Defaults of transformers 5.24, OPTConfig. */
export const OPT_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    maxPositionEmbeddings: field('max_position_embeddings', WIDTH, 2048),
    learnedPositions,
    ...groupedQueryAttention({
      numKeyValueHeads: 'num_attention_heads',
      headDim: 'hidden_size / num_attention_heads',
    }),
    intermediateSize: field('ffn_dim', WIDTH, required),
    hiddenAct: activation('activation_function', 'relu'),
    qkvBias: field('enable_bias', flag, true),
    denseBias: field('enable_bias', flag, true),
    mlpBias: field('enable_bias', flag, true),
    slidingWindows: fullAttention,
    embeddingSize: field(
      'word_embed_proj_dim',
      WIDTH,
      ({ hiddenSize }: { readonly hiddenSize: number }) => hiddenSize,
    ),
    normsBefore: field('do_layer_norm_before', flag, true),
    hasLastNorm,
    hasNormWeights: field('layer_norm_elementwise_affine', only(true), true),
  },
});
export type OptConfig = ConfigOf<typeof OPT_CONFIG>;
