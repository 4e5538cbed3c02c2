import {
  alibi,
  biases,
  bothSpellings,
  type ConfigOf,
  constant,
  defineConfig,
  type Field,
  field,
  flag,
  fullAttention,
  keysBecause,
  multiHeadAttention,
  positive,
  textModel,
  WIDTH,
} from '../../layers/config/index.js';

/** BloomMLP has this width whatever config.json says. */
const intermediateSize: Field<number, { readonly hiddenSize: number }> = {
  read: (_, { hiddenSize }) => 4 * hiddenSize,
};

/** Defaults of transformers 5.24, BloomConfig. ALiBi knows no longest context: the default is that of training. */
export const BLOOM_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    ...multiHeadAttention,
    ...bothSpellings,
    maxPositionEmbeddings: field(['seq_length', 'max_position_embeddings'], WIDTH, 2048),
    intermediateSize,
    hiddenAct: constant('gelu_tanh' as const),
    ...biases({ qkv: true, dense: true, mlp: true }),
    layerNormEps: field('layer_norm_epsilon', positive(1), 1e-5),
    addsToNormed: field('apply_residual_connection_post_layernorm', flag, false),
    alibiSlopes: alibi,
    slidingWindows: fullAttention,
  },
  irrelevant: {
    ...keysBecause(
      'says how another program rounds, or in which of its kernels it computes',
      ...['attention_softmax_in_fp32', 'bias_dropout_fusion', 'masked_softmax_fusion', 'slow_but_exact'],
    ),
    ...keysBecause(
      'is of the program that trained it; transformers does not read it',
      ...['skip_bias_add', 'skip_bias_add_qkv', 'offset_alibi', 'n_inner'],
    ),
  },
});
export type BloomConfig = ConfigOf<typeof BLOOM_CONFIG>;
