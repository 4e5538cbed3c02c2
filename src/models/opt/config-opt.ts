import {
  activation,
  biases,
  type ConfigOf,
  defineConfig,
  type Field,
  field,
  flag,
  fullAttention,
  learnedPositions,
  multiHeadAttention,
  only,
  required,
  textModel,
  WIDTH,
} from '../../layers/config/index.js';

/** Nothing norms the last layer's result where layers do so themselves, nor in the first files. */
const hasLastNorm: Field<boolean, { readonly normsBefore: boolean }> = {
  read(json, { normsBefore }) {
    const lacks = field('_remove_final_layer_norm', flag, false).read(json, {});
    return normsBefore && !lacks;
  },
};

type Hidden = { readonly hiddenSize: number };
const enableBias = field('enable_bias', flag, true);

/** Defaults of transformers 5.24, OPTConfig. */
export const OPT_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    maxPositionEmbeddings: field('max_position_embeddings', WIDTH, 2048),
    learnedPositions,
    ...multiHeadAttention,
    intermediateSize: field('ffn_dim', WIDTH, required),
    hiddenAct: activation('activation_function', 'relu'),
    ...biases({ qkv: enableBias, dense: enableBias, mlp: enableBias }),
    slidingWindows: fullAttention,
    embeddingSize: field('word_embed_proj_dim', WIDTH, ({ hiddenSize }: Hidden) => hiddenSize),
    normsBefore: field('do_layer_norm_before', flag, true),
    hasLastNorm,
    hasNormWeights: field('layer_norm_elementwise_affine', only(true), true),
  },
});
export type OptConfig = ConfigOf<typeof OPT_CONFIG>;
