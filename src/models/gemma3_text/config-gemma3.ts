import {
  activation,
  biases,
  type ConfigOf,
  defineConfig,
  type Field,
  field,
  groupedQueryAttention,
  mlp,
  positive,
  rotaryConfigByLayerType,
  slidingByLayer,
  textModel,
} from '../../layers/config/index.js';
import type { RopeConfig } from '../../step-inputs/index.js';

interface Ropes {
  readonly ropes: { readonly full_attention: RopeConfig; readonly sliding_attention: RopeConfig };
}
const fullRope: Field<RopeConfig, Ropes> = { read: (_, { ropes }) => ropes.full_attention };

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
    ropes: rotaryConfigByLayerType({
      full_attention: { theta: 1_000_000, isScaled: true },
      sliding_attention: { theta: 10_000, thetaNames: 'rope_local_base_freq', isScaled: false },
    }),
    rope: fullRope,
  },
  irrelevant: {
    hidden_act: 'Gemma3MLP reads hidden_activation',
    cache_implementation: 'says which cache another program takes',
  },
});
export type Gemma3Config = ConfigOf<typeof GEMMA3_CONFIG>;
