import {
  activation,
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  field,
  LLAMA_DEFAULTS,
  positive,
  slidingByLayer,
  softcap,
} from '../../layers/config/index.js';

/** Defaults of transformers 5.24, Gemma2Config. */
export const GEMMA2_CONFIG = defineConfig({
  fields: {
    ...decoder({
      ...LLAMA_DEFAULTS,
      numKeyValueHeads: 4,
      headDim: 256,
      hiddenAct: 'gelu_tanh',
      tieWordEmbeddings: true,
    }),
    hiddenAct: activation('hidden_activation', 'gelu_tanh'),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    queryPreAttnScalar: field('query_pre_attn_scalar', positive(1e6), 256),
    slidingWindows: slidingByLayer({ window: 4096, slides: (layer) => layer % 2 === 0 }),
    scoreSoftcap: softcap('attn_logit_softcapping', 50),
    logitSoftcap: softcap('final_logit_softcapping', 30),
  },
  irrelevant: {
    hidden_act: 'Gemma2MLP reads hidden_activation',
    sliding_window_size: 'Gemma2Attention reads sliding_window',
    cache_implementation: 'says which cache another program takes',
  },
});
export type Gemma2Config = ConfigOf<typeof GEMMA2_CONFIG>;
