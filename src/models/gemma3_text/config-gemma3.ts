import {
  activation,
  biases,
  type ConfigOf,
  defineConfig,
  type Field,
  field,
  flag,
  groupedQueryAttention,
  mlp,
  positive,
  rotaryByWindow,
  slidingByLayer,
  textModel,
} from '../../layers/config/index.js';

/** False in EmbeddingGemma, all of whose tokens see each other. */
const isCausal: Field<boolean> = {
  read: (json) => !field('use_bidirectional_attention', flag, false).read(json, {}),
};

/** Where tokens see later ones, half a window is on each side. */
const slidingWindows: Field<
  readonly (number | undefined)[],
  { readonly numHiddenLayers: number; readonly isCausal: boolean }
> = {
  read(json, config) {
    const windows = slidingByLayer({ window: 4096, slidingWindowPattern: 6 }).read(json, config);
    return config.isCausal ? windows : windows.map((size) => size && Math.floor(size / 2));
  },
};

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
    isCausal,
    slidingWindows,
    ...rotaryByWindow({
      full_attention: { theta: 1_000_000, isScaled: true },
      sliding_attention: { theta: 10_000, thetaNames: 'rope_local_base_freq', isScaled: false },
    }),
  },
  irrelevant: {
    hidden_act: 'Gemma3MLP reads hidden_activation',
    _sliding_window_pattern: 'layer_types says which layers have windows',
    cache_implementation: 'says which cache another program takes',
  },
});
export type Gemma3Config = ConfigOf<typeof GEMMA3_CONFIG>;
