import {
  activation,
  biases,
  type ConfigOf,
  defineConfig,
  field,
  groupedQueryAttention,
  mlp,
  positive,
  rotaryByWindow,
  slidingByLayer,
  textModel,
} from '../../layers/config/index.js';

/** Defaults of transformers 5.24, Gemma3TextConfig. */
export const GEMMA3_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    ...groupedQueryAttention({ numKeyValueHeads: 4, headDim: 256 }),
    ...mlp({ hiddenAct: 'gelu_tanh' }),
    hiddenAct: activation('hidden_activation', 'gelu_tanh'),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    rmsNormEps: field('rms_norm_eps', positive(1), 1e-6),
    queryPreAttnScalar: field('query_pre_attn_scalar', positive(1e6), 256),
    slidingWindows: slidingByLayer({ window: 4096, slidingWindowPattern: 6 }),
    ...rotaryByWindow({
      full_attention: { theta: 1_000_000, isScaled: true },
      sliding_attention: { theta: 10_000, thetaNames: 'rope_local_base_freq', isScaled: false },
    }),
  },
  irrelevant: {
    hidden_act: 'Gemma3MLP reads hidden_activation',
    cache_implementation: 'says which cache another program takes',
  },
});
export type Gemma3Config = ConfigOf<typeof GEMMA3_CONFIG>;
