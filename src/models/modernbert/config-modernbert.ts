import {
  activation,
  type ConfigOf,
  constant,
  defineConfig,
  ENCODER_IRRELEVANT,
  encoder,
  type Field,
  field,
  flag,
  integer,
  keysBecause,
  oneOf,
  positive,
  rotaryByWindow,
  slidingByLayer,
  WIDTH,
} from '../../layers/config/index.js';

/** `local_attention` counts both sides. All but every n-th layer, beginning with the first, have the window. */
const modernbertWindows: Field<readonly (number | undefined)[], { readonly numHiddenLayers: number }> = {
  read(json, config) {
    const window = Math.floor(field('local_attention', integer(2, 2 ** 24), 128).read(json, {}) / 2);
    const every = field('global_attn_every_n_layers', integer(1, 1000), 3).read(json, {});
    return slidingByLayer({ window, slides: (layer) => layer % every !== 0 }).read(json, config);
  },
};

/** What encoders and decoders of ModernBERT say alike. */
export const MODERNBERT_FIELDS = {
  hiddenAct: activation('hidden_activation', 'gelu'),
  maxPositionEmbeddings: field('max_position_embeddings', WIDTH, 8192),
  layerNormEps: field('norm_eps', positive(1), 1e-5),
  normBias: field('norm_bias', flag, false),
  slidingWindows: modernbertWindows,
  ...rotaryByWindow({
    full_attention: { theta: 160_000, thetaNames: 'global_rope_theta', isScaled: true },
    sliding_attention: { theta: 10_000, thetaNames: 'local_rope_theta', isScaled: true },
  }),
  classifierBias: field('classifier_bias', flag, false),
  classifierAct: activation('classifier_activation', 'gelu'),
};

/** Keys of theirs that change nothing. */
export const MODERNBERT_IRRELEVANT = {
  layer_norm_eps: 'ModernBertModel reads norm_eps',
  position_embedding_type: 'every layer has a rotary embedding',
  ...keysBecause(
    'is used in training alone',
    ...['initializer_cutoff_factor', 'mlp_dropout', 'sparse_pred_ignore_index', 'sparse_prediction'],
  ),
  ...keysBecause(
    'says which kernel another program takes',
    ...['deterministic_flash_attn', 'reference_compile', 'repad_logits_with_grad'],
  ),
  cls_token_id: 'is an id that the tokenizer knows',
};

/** Of encoders, with the defaults of transformers 5.24, ModernBertConfig. */
export const MODERNBERT_ENCODER_FIELDS = {
  ...encoder({
    typeVocabSize: 0,
    padTokenId: 50_283,
    biases: { qkv: 'attention_bias', dense: 'attention_bias', mlp: 'mlp_bias' },
  }),
  typeVocabSize: constant(0),
  ...MODERNBERT_FIELDS,
  classifierPooling: field('classifier_pooling', oneOf('cls', 'mean'), 'cls'),
};

/** Keys of theirs that change nothing. */
export const MODERNBERT_ENCODER_IRRELEVANT: Readonly<Record<string, string>> = {
  ...ENCODER_IRRELEVANT,
  ...MODERNBERT_IRRELEVANT,
  decoder_bias: 'belongs to a head that predicts words',
};

export const MODERNBERT_CONFIG = defineConfig({
  fields: MODERNBERT_ENCODER_FIELDS,
  irrelevant: MODERNBERT_ENCODER_IRRELEVANT,
});
export type ModernBertConfig = ConfigOf<typeof MODERNBERT_CONFIG>;
