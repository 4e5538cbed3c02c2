import {
  activation,
  biases,
  borrowingLayers,
  type ConfigOf,
  closedGates,
  defineConfig,
  type Field,
  field,
  flag,
  groupedQueryAttention,
  integer,
  keysBecause,
  positive,
  rotaryByWindow,
  slidingByLayer,
  softcap,
  textModel,
  WIDTH,
  widthsByLayer,
} from '../../layers/config/index.js';

/** Which of the streams a layer reads and writes. */
const activeStream: Field<number, { readonly streams: number }> = {
  read: (json, { streams }) => json.value('altup_active_idx', integer(0, streams - 1)) ?? 0,
};

/** What tools count by, where layers have MLPs of different widths. */
const widest: Field<number, { readonly widths: readonly number[] }> = {
  read: (_, { widths }) => Math.max(...widths),
};

/** Defaults of transformers 5.24, Gemma3nTextConfig. */
export const GEMMA3N_FIELDS = {
  ...textModel({ tieWordEmbeddings: true }),
  ...groupedQueryAttention({ numKeyValueHeads: 2, headDim: 256 }),
  widths: widthsByLayer,
  intermediateSize: widest,
  hiddenAct: activation('hidden_activation', 'gelu_tanh'),
  closedGates: closedGates((layer, { numHiddenLayers }) => (numHiddenLayers > 10 && layer < 10 ? 0.95 : 0)),
  ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
  rmsNormEps: field('rms_norm_eps', positive(1), 1e-6),
  logitSoftcap: softcap('final_logit_softcapping', 30),
  slidingWindows: slidingByLayer({ window: 512, slides: (layer) => layer % 5 !== 4 }),
  borrowingLayers: borrowingLayers(15),
  ...rotaryByWindow({
    full_attention: { theta: 1_000_000, isScaled: true },
    sliding_attention: { theta: 10_000, thetaNames: 'rope_local_base_freq', isScaled: false },
  }),
  perLayerSize: field('hidden_size_per_layer_input', integer(1, 2 ** 20), 256),
  perLayerVocab: field('vocab_size_per_layer_input', WIDTH, 262_144),
  streams: field('altup_num_inputs', integer(2, 64), 4),
  activeStream,
  scalesCorrected: field('altup_correct_scale', flag, true),
  laurelRank: field('laurel_rank', WIDTH, 64),
};

export const GEMMA3N_IRRELEVANT = {
  hidden_act: 'Gemma3nTextMLP reads hidden_activation',
  ...keysBecause('is used in training alone', 'altup_coef_clip', 'altup_lr_multiplier'),
  query_pre_attn_scalar: 'norms scale queries and keys, and nothing else does',
};

export const GEMMA3N_CONFIG = defineConfig({ fields: GEMMA3N_FIELDS, irrelevant: GEMMA3N_IRRELEVANT });
export type Gemma3nConfig = ConfigOf<typeof GEMMA3N_CONFIG>;
