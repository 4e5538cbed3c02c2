import {
  alibi,
  biases,
  type ConfigOf,
  constant,
  defineConfig,
  type Field,
  field,
  flag,
  fullAttention,
  groupedQueryAttention,
  integer,
  positive,
  required,
  textModel,
} from '../../layers/config/index.js';

const SIZE = integer(1, 2 ** 24);

/** BloomMLP has this width whatever config.json says. */
const intermediateSize: Field<number, { readonly hiddenSize: number }> = {
  read: (_, { hiddenSize }) => 4 * hiddenSize,
};

const FUSIONS = [
  'attention_softmax_in_fp32',
  'bias_dropout_fusion',
  'masked_softmax_fusion',
  'slow_but_exact',
];
const TRAINING = ['skip_bias_add', 'skip_bias_add_qkv', 'offset_alibi', 'n_inner'];

/** Defaults of transformers 5.24, BloomConfig. ALiBi knows no longest context: the default is that of training. */
export const BLOOM_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    ...groupedQueryAttention({
      numKeyValueHeads: 'num_attention_heads',
      headDim: 'hidden_size / num_attention_heads',
    }),
    hiddenSize: field(['hidden_size', 'n_embed'], SIZE, required),
    numHiddenLayers: field(['n_layer', 'num_hidden_layers'], integer(1, 1000), required),
    numAttentionHeads: field(['n_head', 'num_attention_heads'], integer(1, 10_000), required),
    maxPositionEmbeddings: field(['seq_length', 'max_position_embeddings'], SIZE, 2048),
    intermediateSize,
    hiddenAct: constant('gelu_tanh' as const),
    ...biases({ qkv: true, dense: true, mlp: true }),
    layerNormEps: field('layer_norm_epsilon', positive(1), 1e-5),
    addsToNormed: field('apply_residual_connection_post_layernorm', flag, false),
    alibiSlopes: alibi,
    slidingWindows: fullAttention,
  },
  irrelevant: Object.fromEntries([
    ...FUSIONS.map((key) => [key, 'says how another program rounds, or in which of its kernels it computes']),
    ...TRAINING.map((key) => [key, 'is of the program that trained it; transformers does not read it']),
  ]),
});
export type BloomConfig = ConfigOf<typeof BLOOM_CONFIG>;
