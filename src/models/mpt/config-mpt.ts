import {
  alibi,
  biases,
  type ConfigOf,
  constant,
  defineConfig,
  type Field,
  field,
  fullAttention,
  HEADS,
  keysBecause,
  LAYERS,
  multiHeadAttention,
  nested,
  only,
  positive,
  required,
  SIZE,
  textModel,
  WIDTH,
} from '../../layers/config/index.js';

/** What `attn_config` says of attention. */
const attention = nested(
  'attn_config',
  {
    type: field('attn_type', only('multihead_attention'), 'multihead_attention'),
    clipQkv: field('clip_qkv', positive(1e6), undefined),
    scale: field('softmax_scale', positive(1e6), undefined),
    hasAlibi: field('alibi', only(true), true),
    largestSlope: field('alibi_bias_max', only(8), 8),
    isPrefix: field('prefix_lm', only(false), false),
    normsHeads: field('qk_ln', only(false), false),
  },
  ['attn_impl', 'attn_pdrop', 'attn_uses_sequence_id'],
);

/** MptMLP has this width whatever config.json says. */
const intermediateSize: Field<number, { readonly hiddenSize: number }> = {
  read: (json, { hiddenSize }) => field('expansion_ratio', only(4), 4).read(json, {}) * hiddenSize,
};

/** Defaults of transformers 5.24, MptConfig. */
export const MPT_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    hiddenSize: field(['hidden_size', 'd_model'], SIZE, required),
    numHiddenLayers: field(['num_hidden_layers', 'n_layers'], LAYERS, required),
    ...multiHeadAttention,
    numAttentionHeads: field(['num_attention_heads', 'n_heads'], HEADS, required),
    maxPositionEmbeddings: field(['max_seq_len', 'max_position_embeddings'], WIDTH, 2048),
    attention,
    intermediateSize,
    hiddenAct: constant('gelu' as const),
    ...biases({ qkv: false, dense: false, mlp: false }),
    hasNoBias: field('no_bias', only(true), true),
    layerNormEps: field('layer_norm_epsilon', positive(1), 1e-5),
    alibiSlopes: alibi,
    slidingWindows: fullAttention,
  },
  irrelevant: {
    learned_pos_emb: 'ALiBi takes its place',
    tokenizer_name: 'says where another program looks for one',
    norm_type: 'says in which dtype another program norms; statistics are in f32 here',
    ...keysBecause(
      'is used in training alone',
      ...['emb_pdrop', 'embedding_fraction', 'init_config', 'init_device', 'verbose'],
    ),
  },
});
export type MptConfig = ConfigOf<typeof MPT_CONFIG>;
