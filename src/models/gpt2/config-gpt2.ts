import type { ActivationKind } from '../../common-op-builders/index.js';
import {
  activation,
  biases,
  field,
  flag,
  fullAttention,
  groupedQueryAttention,
  integer,
  learnedPositions,
  only,
  positive,
  required,
  textModel,
} from '../../layers/config/index.js';

const SIZE = integer(1, 2 ** 24);

/** What GPT-2 and its relatives call things; both spellings mean the same to transformers. */
export const gpt2Fields = (defaults: { readonly activation: ActivationKind }) => ({
  ...textModel({ tieWordEmbeddings: true }),
  ...groupedQueryAttention({
    numKeyValueHeads: 'num_attention_heads',
    headDim: 'hidden_size / num_attention_heads',
  }),
  hiddenSize: field(['n_embd', 'hidden_size'], SIZE, required),
  numHiddenLayers: field(['n_layer', 'num_hidden_layers'], integer(1, 1000), required),
  numAttentionHeads: field(['n_head', 'num_attention_heads'], integer(1, 10_000), required),
  maxPositionEmbeddings: field(['n_positions', 'max_position_embeddings'], SIZE, 1024),
  learnedPositions,
  intermediateSize: field('n_inner', SIZE, ({ hiddenSize }: { hiddenSize: number }) => 4 * hiddenSize),
  hiddenAct: activation('activation_function', defaults.activation),
  layerNormEps: field('layer_norm_epsilon', positive(1), 1e-5),
  ...biases({ qkv: true, dense: true, mlp: true }),
  slidingWindows: fullAttention,
  scalesScores: field('scale_attn_weights', flag, true),
  hasCrossAttention: field('add_cross_attention', only(false), false),
});

const SUMMARY_KEYS = ['activation', 'first_dropout', 'proj_to_labels', 'type', 'use_proj'];

/** Keys that change nothing in GPT-2 and its relatives. */
export const GPT2_IRRELEVANT: Readonly<Record<string, string>> = {
  n_ctx: 'n_positions is what the table of positions has',
  ...Object.fromEntries(SUMMARY_KEYS.map((key) => [`summary_${key}`, 'belongs to a head that classifies'])),
};
