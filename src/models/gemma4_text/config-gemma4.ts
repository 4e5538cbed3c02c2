import {
  activation,
  biases,
  borrowingLayers,
  type ConfigOf,
  defineConfig,
  EXPERTS,
  type Field,
  field,
  flag,
  groupedQueryAttention,
  HEADS,
  integer,
  mlp,
  ofFullLayers,
  only,
  positive,
  rotaryByHeadSize,
  slidingByLayer,
  textModel,
  WIDTH,
} from '../../layers/config/index.js';

/** The last layer sees all keys, whatever is said of it. `window`: of others, where the file does not say it. */
export const gemma4Windows = (
  window: number,
): Field<readonly (number | undefined)[], { readonly numHiddenLayers: number }> => ({
  read: (json, config) =>
    slidingByLayer({ window, slidingWindowPattern: 6 }).read(json, config).with(-1, undefined),
});

/** Defaults of transformers 5.24, Gemma4TextConfig. */
export const GEMMA4_FIELDS = {
  ...textModel({ tieWordEmbeddings: true }),
  ...groupedQueryAttention({ numKeyValueHeads: 4, headDim: 256 }),
  ...mlp({ hiddenAct: 'gelu_tanh' }),
  hiddenAct: activation('hidden_activation', 'gelu_tanh'),
  ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
  rmsNormEps: field('rms_norm_eps', positive(1), 1e-6),
  logitSoftcap: field('final_logit_softcapping', positive(1e6), undefined),
  /** Keys and values of layers without a window are one projection. */
  keysAreValues: field('attention_k_eq_v', flag, false),
  globalHeadDim: ofFullLayers('head_dim', 'global_head_dim', 512),
  globalKeyValueHeads: ofFullLayers('num_key_value_heads', 'num_global_key_value_heads', undefined),
  ...rotaryByHeadSize({ full_attention: 1_000_000, sliding_attention: 10_000 }),
  slidingWindows: gemma4Windows(512),
  borrowingLayers: borrowingLayers(0),
  widensBorrowing: field('use_double_wide_mlp', flag, false),
  /** 0: there are none. */
  perLayerSize: field('hidden_size_per_layer_input', integer(0, 2 ** 20), 256),
  perLayerVocab: field('vocab_size_per_layer_input', WIDTH, 262_144),
  bidirectional: field('use_bidirectional_attention', only('vision'), undefined),
  hasExperts: field('enable_moe_block', flag, false),
  numExperts: field('num_experts', EXPERTS, 1),
  numExpertsPerToken: field('top_k_experts', HEADS, 1),
  moeIntermediateSize: field('moe_intermediate_size', WIDTH, 1),
};

export const GEMMA4_CONFIG = defineConfig({
  fields: GEMMA4_FIELDS,
  irrelevant: { hidden_act: 'Gemma4TextMLP reads hidden_activation' },
});
export type Gemma4Config = ConfigOf<typeof GEMMA4_CONFIG>;
