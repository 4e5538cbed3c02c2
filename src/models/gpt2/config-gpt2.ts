import type { ActivationKind } from '../../common-op-builders/index.js';
import {
  activation,
  biases,
  bothSpellings,
  field,
  flag,
  fullAttention,
  learnedPositions,
  mlpWidth,
  multiHeadAttention,
  only,
  positive,
  textModel,
  WIDTH,
} from '../../layers/config/index.js';

/** What GPT-2 and its relatives call things; both spellings mean the same to transformers. */
export const gpt2Fields = (defaults: { readonly activation: ActivationKind }) => ({
  ...textModel({ tieWordEmbeddings: true }),
  ...multiHeadAttention,
  ...bothSpellings,
  maxPositionEmbeddings: field(['n_positions', 'max_position_embeddings'], WIDTH, 1024),
  learnedPositions,
  intermediateSize: mlpWidth('n_inner'),
  hiddenAct: activation('activation_function', defaults.activation),
  layerNormEps: field('layer_norm_epsilon', positive(1), 1e-5),
  ...biases({ qkv: true, dense: true, mlp: true }),
  slidingWindows: fullAttention,
  scalesScores: field('scale_attn_weights', flag, true),
  hasCrossAttention: field('add_cross_attention', only(false), false),
});

/** Keys that change nothing in GPT-2 and its relatives. */
export const GPT2_IRRELEVANT: Readonly<Record<string, string>> = {
  n_ctx: 'n_positions is what the table of positions has',
};
